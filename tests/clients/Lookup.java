// Asks Java's resolvers. `java Lookup.java resolve` asks JNDI's DNS client, `java Lookup.java lookup` InetAddress, which is
// the platform's getaddrinfo. Reads questions, `TYPE NAME` a line, and prints `TYPE NAME ANSWER`, tab-separated, in the
// normal form of ask.sh. ROLLCALL_SERVER=host:port, if set, is asked by `resolve` instead of what resolv.conf names.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Collections;
import java.util.Hashtable;
import java.util.TreeSet;
import javax.naming.Context;
import javax.naming.NameNotFoundException;
import javax.naming.directory.Attribute;
import javax.naming.directory.DirContext;
import javax.naming.directory.InitialDirContext;

class Lookup {
    public static void main(String[] arguments) throws Exception {
        // Each question is to be asked.
        java.security.Security.setProperty("networkaddress.cache.ttl", "0");
        java.security.Security.setProperty("networkaddress.cache.negative.ttl", "0");
        DirContext context = arguments[0].equals("resolve") ? context() : null;
        BufferedReader questions = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = questions.readLine()) != null; ) {
            String[] words = line.split(" ");
            String answer;
            try {
                answer = context == null ? lookUp(words[0], words[1]) : resolve(context, words[0], words[1]);
            } catch (Exception error) {
                answer = "ERROR: " + error;
            }
            System.out.println(words[0] + "\t" + words[1] + "\t" + answer);
        }
    }

    static DirContext context() throws Exception {
        String server = System.getenv("ROLLCALL_SERVER");
        Hashtable<String, String> settings = new Hashtable<>();
        settings.put(Context.INITIAL_CONTEXT_FACTORY, "com.sun.jndi.dns.DnsContextFactory");
        settings.put(Context.PROVIDER_URL, server == null ? "dns:" : "dns://" + server);
        settings.put("com.sun.jndi.dns.timeout.initial", "3000");
        settings.put("com.sun.jndi.dns.timeout.retries", "1");
        return new InitialDirContext(settings);
    }

    static String resolve(DirContext context, String type, String name) throws Exception {
        String asked = type.equals("PTR") ? reverse(InetAddress.getByName(name)) : name;
        Attribute found;
        try {
            found = context.getAttributes(asked, new String[] {type}).get(type);
        } catch (NameNotFoundException error) {
            return "NXDOMAIN";
        }
        if (found == null) return "NODATA";
        TreeSet<String> words = new TreeSet<>();
        for (Object value : Collections.list(found.getAll())) words.add(word(type, value.toString()));
        return String.join(" ", words);
    }

    static String word(String type, String value) throws Exception {
        String[] fields = value.split(" ");
        return switch (type) {
            case "SRV" -> fields[2] + ":" + fields[3];
            case "TXT" -> '"' + value + '"';
            case "AAAA" -> short6(value);
            default -> value;
        };
    }

    static String lookUp(String type, String name) throws Exception {
        if (type.equals("PTR")) {
            String found = InetAddress.getByName(name).getCanonicalHostName();
            return found.equals(name) ? "NONE" : found + ".";
        }
        TreeSet<String> words = new TreeSet<>();
        try {
            for (InetAddress address : InetAddress.getAllByName(name)) {
                boolean isFour = address instanceof Inet4Address;
                if (isFour == type.equals("A")) words.add(isFour ? address.getHostAddress() : short6(address.getHostAddress()));
            }
        } catch (UnknownHostException error) {
            return "NONE";
        }
        return words.isEmpty() ? "NONE" : String.join(" ", words);
    }

    /** As RFC 5952 writes it; Java writes all eight groups. */
    static String short6(String text) throws Exception {
        byte[] octets = InetAddress.getByName(text).getAddress();
        int start = -1, length = 1;
        for (int first = 0; first < 8; first++) {
            int last = first;
            while (last < 8 && group(octets, last) == 0) last++;
            if (last - first > length) {
                start = first;
                length = last - first;
            }
        }
        StringBuilder written = new StringBuilder();
        for (int at = 0; at < 8; at++) {
            if (at == start) {
                written.append("::");
                at += length - 1;
                continue;
            }
            if (written.length() > 0 && written.charAt(written.length() - 1) != ':') written.append(':');
            written.append(Integer.toHexString(group(octets, at)));
        }
        return written.toString();
    }

    static int group(byte[] octets, int at) {
        return (octets[2 * at] & 255) << 8 | octets[2 * at + 1] & 255;
    }

    static String reverse(InetAddress address) {
        byte[] octets = address.getAddress();
        StringBuilder name = new StringBuilder();
        for (int at = octets.length - 1; at >= 0; at--) {
            int octet = octets[at] & 255;
            if (octets.length == 4) name.append(octet).append('.');
            else name.append(String.format("%x.%x.", octet & 15, octet >> 4));
        }
        return name + (octets.length == 4 ? "in-addr.arpa." : "ip6.arpa.");
    }
}
