#!/usr/bin/env bash
# Becomes one container of a pod: a process namespace, a host name, and a root of its own over the pod's network namespace,
# in which `ip netns exec` runs this. That makes a namespace of mounts, too: nothing here is seen outside.
#
#   container.sh POD KIND USER MOUNTS ROLLCALL VARIABLE=VALUE... -- COMMAND...
#
# POD is the pod's folder: hostname, etc/ with the files that a kubelet writes, account/ with those of its service account,
# and root/, which is empty. KIND is `scratch` for an image that holds /rollcall and nothing else, and `host` for one that
# holds the programs of this machine, with rollcall in /usr/local/bin. USER is `uid:gid`. MOUNTS lists sources and
# targets, tab-separated; targets are below folders of the root that the machine does not have.
set -euo pipefail

if [[ $1 != --inside ]]; then
  # This process is killed with the test's, and takes the first one of the process namespace, and so all, along.
  exec unshare --pid --fork --kill-child --uts --ipc "$0" --inside "$@"
fi
pod=$2 kind=$3 user=$4 mounts=$5 rollcall=$6 root=$2/root
shift 6
variables=()
while [[ $1 != -- ]]; do
  variables+=("$1")
  shift
done
shift

mount -t tmpfs -o mode=755 tmpfs "$root"
case $kind in
  host)
    for entry in /*; do
      name=${entry##*/}
      if [[ -L $entry ]]; then
        cp -a "$entry" "$root/$name"
      elif [[ -d $entry && ! $name =~ ^(dev|proc|run|sys|tmp)$ ]]; then
        mkdir "$root/$name"
        mount --rbind "$entry" "$root/$name"
      fi
    done
    mkdir -m 1777 "$root/tmp"
    # What an image's Dockerfile copies there.
    mount -t tmpfs -o mode=755 tmpfs "$root/usr/local/bin"
    touch "$root/usr/local/bin/rollcall"
    mount --bind "$rollcall" "$root/usr/local/bin/rollcall"
    for file in "$pod"/etc/*; do mount --bind "$file" "$root/etc/${file##*/}"; done
    ;;
  scratch)
    touch "$root/rollcall"
    mount --bind "$rollcall" "$root/rollcall"
    cp -r "$pod/etc" "$root/etc"
    mkdir "$root/var"
    ln -s ../run "$root/var/run"
    ;;
esac
mkdir -p "$root/dev" "$root/proc" "$root/run/secrets/kubernetes.io/serviceaccount"
cp "$pod"/account/* "$root/run/secrets/kubernetes.io/serviceaccount"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
while IFS=$'\t' read -r source target; do
  mkdir -p "$root$target"
  mount --bind "$source" "$root$target"
done <"$mounts"
hostname "$(<"$pod/hostname")"

# Not the command itself: what has another user's rights is not killed with its parent, the first process of the namespace is.
env -i "${variables[@]}" /usr/sbin/chroot --userspec="$user" --groups="${user#*:}" "$root" "$@" &
app=$!
trap 'kill -TERM "$app" || true' TERM
code=0
while kill -0 "$app" 2>/dev/null; do
  code=0
  wait "$app" || code=$?
done
exit "$code"
