#!/usr/bin/env bash
# The Debian package under a real systemd: installed by dpkg with its own scripts, enabled, started, asked, reloaded,
# killed, given a bad configuration, upgraded while it runs, removed. systemd runs in namespaces of its own, on a copy of
# this machine's files that is gone at the end: nothing of the machine is touched.
#   tests/systemd.sh [ROLLCALL]     default target/release/rollcall
# Needs root, systemd, dig, iproute2, overlayfs, and what deploy/deb.sh needs.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tests/checks.sh
. tests/checks.sh
rollcall=$(realpath "${1:-target/release/rollcall}")
work=$(mktemp -d)
init='' shell=''
cleanup() {
  # The namespace's first process takes the others with it.
  [ -z "$init" ] || kill -KILL "$init" 2>/dev/null || true
  [ -z "$shell" ] || wait "$shell" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
package=$(deploy/deb.sh "$rollcall" "$work/packages" | tail -1)

# What runs inside before systemd does: a writable copy of the root, without the units of this machine.
cat >"$work/enter" <<'END'
set -eu
root=$1
mount --make-rprivate /
mount -t tmpfs tmpfs "$root"
mkdir "$root/upper" "$root/work" "$root/merged"
mount -t overlay overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" "$root/merged"
cd "$root/merged"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount --rbind /dev dev
ip link set lo up
rm -rf etc/systemd/system usr/sbin/policy-rc.d var/log/journal
mkdir -p etc/systemd/system
ln -s /lib/systemd/system/basic.target etc/systemd/system/default.target
for unit in systemd-udevd systemd-udev-trigger systemd-remount-fs systemd-modules-load systemd-sysctl dbus \
  systemd-tmpfiles-setup-dev; do
  ln -s /dev/null "etc/systemd/system/$unit.service"
done
exec env -i container=other PATH="$PATH" chroot . /lib/systemd/systemd --system
END
mkdir "$work/root"
unshare --pid --fork --mount --ipc --uts --net --cgroup bash "$work/enter" "$work/root" >"$work/log" 2>&1 &
shell=$!
find_init() { init=$(pgrep -P "$shell") && [ "$(cat "/proc/$init/comm")" = systemd ]; }
until_true find_init || { cat "$work/log" >&2; exit 1; }
# The working folder is left, or it would be one that is not inside.
inside() { nsenter --target "$init" --mount --pid --net --ipc --uts --cgroup --root --wdns=/ -- "$@"; }
files=/proc/$init/root
until_true inside systemctl is-system-running || { inside systemctl --failed || true; cat "$work/log" >&2; exit 1; }
is "systemd" "$(inside systemctl is-system-running)" running

install() { cp "$package" "$files/tmp/rollcall.deb" && inside dpkg --install /tmp/rollcall.deb >"$work/dpkg" 2>&1; }
state() { inside systemctl show --property "$1" --value rollcall; }
ask() { inside dig +short +tries=1 +timeout=2 @127.0.0.1 "$@" || true; }
answers() { [ "$(ask kubernetes.default.svc.cluster.local)" = 10.96.0.1 ]; }
journal() { inside journalctl --unit rollcall --no-pager --output cat; }

install || cat "$work/dpkg"
is "installed, and switched off" "$(state UnitFileState) $(state ActiveState)" "disabled inactive"
mkdir "$files/etc/rollcall/demo" && cp config/demo/* "$files/etc/rollcall/demo/"
printf '[source]\nmanifests = "/etc/rollcall/demo"\n' >"$files/etc/rollcall/rollcall.toml"
is "started" "$(inside systemctl enable --now rollcall 2>&1 | grep -v ^Created; state ActiveState)" active
until_true answers || journal
is "an answer from port 53" "$(ask kubernetes.default.svc.cluster.local)" 10.96.0.1
is "over TCP" "$(ask +tcp kubernetes.default.svc.cluster.local)" 10.96.0.1
is "its journal says that it is ready" "$(journal | grep -cx ready)" 1
pid=$(state MainPID)
status() { sed -n "s/^$1:[[:space:]]*//p" "$files/proc/$pid/status"; }
is "a user of its own" "$(status Uid | awk '{ print ($1 >= 61184 && $1 <= 65519) }')" 1
is "its capabilities" "$(status CapEff) $(status CapBnd)" "0000000000000400 0000000000000400"
is "no new privileges, system calls filtered" "$(status NoNewPrivs) $(status Seccomp)" "1 2"
# As many as the unit says, where the machine allows so many.
most=$(awk '/^Max open files/ { print $5 }' "/proc/$init/limits")
is "its limit of files" "$(awk '/^Max open files/ { print $4 }' "$files/proc/$pid/limits")" "$((most < 65536 ? most : 65536))"
is "its folder of state" "$(inside stat -L -c %a /var/lib/rollcall)" 700

# A reload: the file is read again, the process is the same.
printf '[source]\nmanifests = "/etc/rollcall/demo"\n[ttl]\npositive = 7\n' >"$files/etc/rollcall/rollcall.toml"
inside systemctl reload rollcall
ttl() { [ "$(inside dig +noall +answer @127.0.0.1 kubernetes.default.svc.cluster.local | awk '{ print $2 }')" = 7 ]; }
is "reloaded, the same process" "$(until_true ttl && [ "$(state MainPID)" = "$pid" ] && echo yes)" yes

# Killed: there again, by itself.
inside kill -KILL "$pid"
is "there again after a kill" "$(until_true answers && echo yes) $(state NRestarts)" "yes 1"

# A bad file: a reload keeps what was good, a start is refused with every reason in the journal.
printf '[ttl]\npositive = "long"\n[limits]\nlameduck = -1\n' >"$files/etc/rollcall/rollcall.toml"
inside systemctl reload rollcall || true
is "a reload with a bad file changes nothing" "$(answers && ttl && echo yes)" yes
inside systemctl restart rollcall 2>/dev/null && code=0 || code=$?
is "no start with it" "$code" 1
is "the journal says why" "$(journal | grep 'ttl.positive' >/dev/null && echo yes)" yes
inside systemctl stop rollcall || true

# An upgrade restarts one that runs; a removal ends it.
printf '[source]\nmanifests = "/etc/rollcall/demo"\n' >"$files/etc/rollcall/rollcall.toml"
inside systemctl reset-failed rollcall && inside systemctl start rollcall && until_true answers
pid=$(state MainPID)
install || cat "$work/dpkg"
is "an upgrade restarts it" "$(until_true answers && [ "$(state MainPID)" != "$pid" ] && echo yes)" yes
is "stopped in order" "$(inside systemctl stop rollcall; state Result) $(state ExecMainStatus)" "success 0"
inside systemctl start rollcall && until_true answers
inside dpkg --remove rollcall >"$work/dpkg" 2>&1 || cat "$work/dpkg"
is "gone with the package" "$(inside systemctl is-active rollcall || true) $(ask kubernetes.default.svc.cluster.local | grep -c refused)" "inactive 1"

summary
