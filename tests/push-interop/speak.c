/* A client of DNS Push Notifications that is made of mDNSResponder's own parts: sessions are its DSO/dso.c, records are
 * read by its ServiceRegistration/fromwire.c. Ours is what lies between: a stream, and commands.
 *
 *   speak ADDRESS PORT            plain TCP
 *   speak -- COMMAND [WORD]...    what the command reads and writes (openssl s_client)
 *
 * Commands, a line each on standard input: `subscribe NAME TYPE`, `unsubscribe ID`, `unsubscribe-from NAME TYPE` (as mDNSCore
 * sends it), `reconfirm NAME TYPE HEX`, `keepalive INACTIVITY INTERVAL`. What comes back is a line each on standard output.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "srp.h"
#include "dns-msg.h"
#include "DNSCommon.h"
#include "mDNSEmbeddedAPI.h"
#include "dso.h"

#define MOST 65535

static int stream;
static dso_state_t *dso;
static uint8_t message[MOST];
static char *ends = "by us";

/* What dso.c wants of whoever uses it. */
uint16_t srp_random16(void) { return (uint16_t)random(); }
int32_t dso_transport_idle(void *context, int32_t now, int32_t next) { return (void)context, (void)now, next; }
bool dso_send_simple_response(dso_state_t *to, int rcode, const DNSMessageHeader *header, const char *text)
{
    (void)to, (void)header;
    printf("dso.c answers %d %s\n", rcode, text);
    return true;
}
bool dso_send_formerr(dso_state_t *to, const DNSMessageHeader *header)
{
    return dso_send_simple_response(to, 1, header, "a message that it cannot read");
}

static void finish(const char *why)
{
    printf("end %s\n", why);
    exit(0);
}

static void records(const DNSMessageHeader *header)
{
    /* Offsets count from behind the header, as fromwire.c has it. */
    const uint8_t *from = (const uint8_t *)header + sizeof *header;
    unsigned at = (unsigned)(dso->primary.payload - from), end = at + dso->primary.length;
    int count = 0;
    printf("push %u\n", (unsigned)(end + sizeof *header));
    while (at < end) {
        dns_rr_t record;
        char name[DNS_MAX_NAME_SIZE_ESCAPED + 1], data[512] = "";
        unsigned before = at;
        if (!dns_rr_parse(&record, from, end, &at, true, false)) {
            printf("unread %u of %u\n", before, end);
            return;
        }
        dns_name_print(record.name, name, sizeof name);
        if (record.ttl == 0xfffffffeu)
            printf("remove-all %s %u %u\n", name, record.type, record.qclass);
        else {
            dns_rdata_dump_to_buf(&record, data, sizeof data);
            if (record.ttl == 0xffffffffu)
                printf("remove %s %u %u %s\n", name, record.type, record.qclass, data);
            else
                printf("add %s %u %u ttl %u %s\n", name, record.type, record.qclass, record.ttl, data);
        }
        dns_rrdata_free(&record);
        dns_name_free(record.name);
        count++;
    }
    printf("pushed %d\n", count);
}

static void event(void *context, void *about, dso_state_t *of, dso_event_type_t type)
{
    const dso_query_receive_context_t *received = about;
    const dso_keepalive_context_t *times = about;
    const dso_disconnect_context_t *delay = about;
    (void)context;
    switch (type) {
    case kDSOEventType_DSOResponse:
        printf("response %s rcode %u", received->query_context ? (char *)received->query_context : "?", received->rcode);
        for (unsigned i = 0; of->primary.opcode != 0 && i <= of->num_additls; i++) {
            const dso_tlv_t *value = i == 0 ? &of->primary : &of->additl[i - 1];
            printf(" %s %u", value->opcode == kDSOType_RetryDelay ? "retry-delay" : "value", value->length);
        }
        printf(" session %s\n", of->has_session ? "yes" : "no");
        break;
    case kDSOEventType_DSOMessage:
        if (of->primary.opcode == kDSOType_DNSPushUpdate)
            records((const DNSMessageHeader *)message);
        else
            printf("message of type %u\n", of->primary.opcode);
        break;
    case kDSOEventType_KeepaliveRcvd:
        printf("keepalive %u %u id %u, dso.c has %u %u\n", times->inactivity_timeout, times->keepalive_interval,
            ntohs(times->xid), of->inactivity_timeout, of->keepalive_interval);
        break;
    case kDSOEventType_RetryDelay:
        printf("retry-delay %u rcode %u\n", delay->reconnect_delay, message[3] & 15);
        break;
    default:
        printf("event %s\n", dso_event_type_to_string(type));
    }
}

/* dso.c has given the connection up. */
static bool life(const dso_life_cycle_t cycle, void *const context, dso_state_t *const of)
{
    (void)context, (void)of;
    if (cycle == dso_life_cycle_cancel)
        finish("by dso.c, for what it cannot bear");
    return true;
}

static void read_whole(uint8_t *into, size_t length)
{
    while (length > 0) {
        ssize_t count = read(stream, into, length);
        if (count == 0)
            finish("of the stream");
        if (count < 0)
            finish("by a reset");
        into += count;
        length -= (size_t)count;
    }
}

static void hear(void)
{
    uint8_t prefix[2];
    read_whole(prefix, 2);
    size_t length = (size_t)prefix[0] << 8 | prefix[1];
    read_whole(message, length);
    dns_message_received(dso, message, length, NULL);
}

static size_t wire_name(const char *text, uint8_t *into)
{
    uint8_t *at = into;
    while (*text != '\0') {
        size_t length = strcspn(text, ".");
        *at++ = (uint8_t)length;
        memcpy(at, text, length);
        at += length;
        text += length + (text[length] == '.');
    }
    *at++ = 0;
    return (size_t)(at - into);
}

static void say(int type, bool unidirectional, const char *what, const uint8_t *data, size_t length)
{
    uint8_t buffer[1024] __attribute__((aligned(8)));
    dso_message_t building;
    if (!dso_make_message(&building, buffer + 2, sizeof buffer - 2, dso, unidirectional, false, 0, 0,
            what ? strdup(what) : NULL, NULL))
        finish("by dso.c, which has no room");
    dso_start_tlv(&building, type);
    dso_add_tlv_bytes(&building, data, length);
    dso_finish_tlv(&building);
    size_t all = dso_message_length(&building);
    buffer[0] = (uint8_t)(all >> 8);
    buffer[1] = (uint8_t)all;
    if (write(stream, buffer, all + 2) != (ssize_t)all + 2)
        finish("by a reset");
    printf("sent %s id %u\n", what ? what : "it", (unsigned)buffer[2] << 8 | buffer[3]);
}

static void command(char *line)
{
    char name[256], hex[256] = "", what[300];
    unsigned type = 0, first, second;
    uint8_t data[600];
    size_t length;
    line[strcspn(line, "\n")] = '\0';
    if (sscanf(line, "subscribe %255s %u", name, &type) == 2 || sscanf(line, "unsubscribe-from %255s %u", name, &type) == 2 ||
        sscanf(line, "reconfirm %255s %u %255s", name, &type, hex) == 3) {
        length = wire_name(name, data);
        data[length++] = (uint8_t)(type >> 8), data[length++] = (uint8_t)type;
        data[length++] = 0, data[length++] = 1;
        for (const char *digit = hex; sscanf(digit, "%2x", &first) == 1; digit += 2)
            data[length++] = (uint8_t)first;
        snprintf(what, sizeof what, "%s/%u", name, type);
        if (line[0] == 's')
            say(kDSOType_DNSPushSubscribe, false, what, data, length);
        else
            say(line[0] == 'u' ? kDSOType_DNSPushUnsubscribe : kDSOType_DNSPushReconfirm, true, NULL, data, length);
    } else if (sscanf(line, "unsubscribe %u", &first) == 1) {
        data[0] = (uint8_t)(first >> 8), data[1] = (uint8_t)first;
        say(kDSOType_DNSPushUnsubscribe, true, NULL, data, 2);
    } else if (sscanf(line, "keepalive %u %u", &first, &second) == 2) {
        uint32_t times[2] = {htonl(first), htonl(second)};
        say(kDSOType_Keepalive, false, "keepalive", (uint8_t *)times, sizeof times);
    } else {
        printf("no such command: %s\n", line);
    }
}

static void connect_to(const char *address, const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    stream = socket(AF_INET, SOCK_STREAM, 0);
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1 || connect(stream, (struct sockaddr *)&to, sizeof to) != 0) {
        perror("connect");
        exit(1);
    }
}

static void run(char **words)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 || (stream = pair[0]) < 0)
        exit(1);
    if (fork() == 0) {
        dup2(pair[1], 0);
        dup2(pair[1], 1);
        close(pair[0]);
        close(pair[1]);
        execvp(words[0], words);
        _exit(127);
    }
    close(pair[1]);
}

int main(int argc, char **argv)
{
    char line[1024];
    setvbuf(stdout, NULL, _IOLBF, 0);
    setvbuf(stdin, NULL, _IONBF, 0);
    srandom((unsigned)getpid());
    if (argc == 3)
        connect_to(argv[1], argv[2]);
    else if (argc > 2 && strcmp(argv[1], "--") == 0)
        run(argv + 2);
    else
        return 2;
    dso = dso_state_create(false, 16, "rollcall", event, &ends, life, NULL);
    for (;;) {
        struct pollfd waiting[2] = {{stream, POLLIN, 0}, {0, POLLIN, 0}};
        if (poll(waiting, 2, -1) < 0)
            return 1;
        if (waiting[0].revents != 0)
            hear();
        else if (fgets(line, sizeof line, stdin) == NULL)
            return 0;
        else
            command(line);
    }
}
