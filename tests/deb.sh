#!/usr/bin/env bash
# The Debian package: made by deploy/deb.sh, read, installed into an empty root by dpkg itself, run from there, its
# configuration kept over an upgrade and gone with a purge; and the systemd unit, verified and rated.
#   tests/deb.sh [ROLLCALL]     default target/release/rollcall; a static one, for the empty root has no libraries
# Needs root (chroot, a network namespace), iproute2, dig, cargo-deb, cargo-cyclonedx, dpkg, jq, busybox; systemd-analyze where it is there.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tests/checks.sh
. tests/checks.sh
rollcall=$(realpath "${1:-target/release/rollcall}")
work=$(mktemp -d)
serving='' namespace=''
cleanup() {
  [ -z "$serving" ] || kill -KILL "$serving" 2>/dev/null || true
  [ -z "$namespace" ] || ip netns del "$namespace" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

package=$(deploy/deb.sh "$rollcall" "$work/packages" | tail -1)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
is "name and version" "$(dpkg-deb --field "$package" Package) $(dpkg-deb --field "$package" Version)" "rollcall $version-1"
is "configuration files" "$(dpkg-deb --ctrl-tarfile "$package" | tar -xO ./conffiles)" /etc/rollcall/rollcall.toml
octets=$(stat -c %s "$package")
is "10 MB at most ($octets)" "$((octets <= 10000000))" 1
is "everything is root's" "$(dpkg-deb --fsys-tarfile "$package" | tar -tv --numeric-owner | awk '{ print $2 }' | sort -u)" 0/0

# A root of its own with a shell, for the package's scripts, and none of systemd: they must do without.
root=$work/root
mkdir -p "$root"/{bin,tmp,dev,var/lib/dpkg/{info,updates}} && touch "$root/var/lib/dpkg/"{status,available} "$root/dev/null"
cp "$(command -v busybox)" "$root/bin/busybox" && ln -s busybox "$root/bin/sh"
mapfile -t libraries < <(ldd "$root/bin/busybox" 2>/dev/null | grep -oE '/[^ ]+')
for library in "${libraries[@]}"; do install -D "$library" "$root$library"; done
into() { dpkg --root="$root" --force-not-root --force-script-chrootless --log="$work/dpkg.log" "$@" >>"$work/said" 2>&1; }
status() { dpkg-query --admindir="$root/var/lib/dpkg" --show --showformat '${db:Status-Status}' rollcall 2>/dev/null; }
if into --install "$package"; then is "installed" "$(status)" installed; else is "installed" "$(cat "$work/said")" ""; fi
inside() { chroot "$root" /usr/bin/rollcall "$@"; }
is "its version" "$(inside --version)" "rollcall $version"
is "its configuration is in order" "$(inside check --config /etc/rollcall/rollcall.toml >/dev/null 2>&1 && echo yes)" yes
is "the configuration is the repository's" "$(cmp "$root/etc/rollcall/rollcall.toml" config/rollcall.toml && echo yes)" yes
is "not enabled" "$(find "$root/etc/systemd" -name 'rollcall*' 2>/dev/null | wc -l)" 0
is "manual pages" "$(cd "$root/usr/share/man/man1" && echo *)" "$(
  "$rollcall" man --dir "$work" >/dev/null && cd "$work" && for page in *.1; do printf '%s.gz ' "$page"; done | sed 's/ $//')"
is "a manual page" "$(zcat "$root/usr/share/man/man1/rollcall-serve.1.gz" | grep -c '^\.SH NAME')" 1
is "completions" "$(cd "$root/usr/share" && find . -name '*rollcall' -path '*completions*' -o -name 'rollcall.fish' | wc -l)" 3
is "bash takes its completions" "$(bash -n "$root/usr/share/bash-completion/completions/rollcall" && echo yes)" yes
is "the pages" "$(for page in docs/*.md; do [ -s "$root/usr/share/doc/rollcall/$(basename "$page")" ] || echo "$page"; done)" ""
is "what is in it" "$(tests/sbom.sh "$root/usr/share/doc/rollcall/rollcall.cdx.json" "$rollcall" | tail -1)" agrees

# As the unit runs it: a user without rights, but for one capability, and port 53 of every address.
namespace=rollcall-deb-$$
ip netns add "$namespace" && ip -n "$namespace" link set lo up
cp -r config/demo "$root/demo" && chmod -R a+rX "$root/demo" && chmod 755 "$work" "$root"
ip netns exec "$namespace" setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs \
  --bounding-set=-all,+net_bind_service --inh-caps=-all,+net_bind_service --ambient-caps=-all,+net_bind_service \
  "$root/usr/bin/rollcall" serve --config "$root/etc/rollcall/rollcall.toml" --manifests "$root/demo" >"$work/log" 2>&1 &
serving=$!
for _ in $(seq 100); do
  if grep -qx ready "$work/log" || ! kill -0 "$serving" 2>/dev/null; then break; fi
  sleep 0.1
done
ask() { ip netns exec "$namespace" dig +short +tries=1 +timeout=2 @127.0.0.1 "$@"; }
is "its capabilities" "$(awk '/^CapEff/ { print $2 }' "/proc/$serving/status")" 0000000000000400
is "an answer from port 53" "$(ask kubernetes.default.svc.cluster.local)" 10.96.0.1
is "over TCP" "$(ask +tcp kubernetes.default.svc.cluster.local)" 10.96.0.1
# ExecReload's signal, and the stop's.
kill -HUP "$serving" && sleep 0.5
is "an answer after SIGHUP" "$(ask kubernetes.default.svc.cluster.local)" 10.96.0.1
kill "$serving" && wait "$serving" && code=0 || code=$?
serving=
is "its exit code after SIGTERM" "$code" 0

# What somebody wrote stays over an upgrade; a removal keeps it, a purge does not.
echo '# ours' >>"$root/etc/rollcall/rollcall.toml"
into --install "$package" || cat "$work/said"
is "a changed configuration, after an upgrade" "$(tail -1 "$root/etc/rollcall/rollcall.toml")" "# ours"
into --remove rollcall || cat "$work/said"
is "after a removal" "$([ -e "$root/etc/rollcall/rollcall.toml" ] && [ ! -e "$root/usr/bin/rollcall" ] && echo "only the configuration")" "only the configuration"
into --purge rollcall || cat "$work/said"
is "after a purge" "$(find "$root/etc" "$root/usr" -name '*rollcall*' 2>/dev/null | wc -l)" 0

# The unit, as the package has it.
unit=$work/unit/rollcall.service
mkdir -p "$work/unit" && cp deploy/systemd/rollcall.service "$unit"
is "it grants one capability" "$(sed -n 's/^\(Ambient\|\)Capabilit.*=//p' "$unit" | sort -u)" CAP_NET_BIND_SERVICE
grace=$(sed -n 's/^TimeoutStopSec=//p' "$unit")
lameduck=$(sed -n '/"limits.lameduck"/,/\[/p' src/config/numbers.rs | grep -oE '^ *[0-9]+' | head -1 | tr -d ' ')
is "it is killed after it has drained ($grace s, $lameduck s)" "$((grace > lameduck))" 1
files=$(sed -n 's/^LimitNOFILE=//p' "$unit")
is "files for every connection" "$((files >= 4096 + 128))" 1
if command -v systemd-analyze >/dev/null; then
  # The program is looked for where it will be; here it is this one.
  sed -i "s|/usr/bin/rollcall|$rollcall|" "$unit"
  is "systemd-analyze verify" "$(systemd-analyze verify --man=no "$unit" 2>&1 | grep -v '^$' || true)" ""
  rating=$(systemd-analyze security --offline=true --threshold=20 "$unit" 2>&1 | grep -o 'level for .*: [0-9.]*' | grep -o '[0-9.]*$')
  is "its exposure is 2.0 of 10 at most ($rating)" "$(awk -v rating="$rating" 'BEGIN { print (rating > 0 && rating <= 2) }')" 1
else
  echo "skip systemd-analyze: it is not on this machine"
fi
summary
