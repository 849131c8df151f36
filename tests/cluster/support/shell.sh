#!/usr/bin/env bash
# Asks the clients that people have, as from a pod's shell. Run inside a network and a mount namespace of its
# own (`ip netns exec` makes both), where /etc/resolv.conf is the pod's.
#
#   shell.sh CLIENTS FOLDER SERVER      questions `CLIENT TYPE NAME` on standard input
#
# CLIENTS is the folder of ask.sh; FOLDER has resolv.conf, nsswitch.conf and hosts, and lookup-go, the built
# lookup.go; SERVER is asked by the clients that can be told one. Prints `CLIENT TYPE NAME ANSWER`,
# tab-separated, in the normal form of ask.sh.
set -euo pipefail
here=$1 tmp=$2
# What ask.sh uses of whoever sources it.
# shellcheck disable=SC2034
server=$3 port=53 inside=()
export tmp

for file in resolv.conf nsswitch.conf hosts; do
  [[ -e /etc/$file ]] || { echo "/etc/$file is missing, and cannot be replaced" >&2; exit 1; }
  mount --bind "$tmp/$file" "/etc/$file"
done

# shellcheck source-path=SCRIPTDIR/../../clients source=ask.sh
source "$here/ask.sh"

questions=$(cat)
while read -r client; do
  awk -v client="$client" '$1 == client { print $2, $3 }' <<<"$questions" | ask "$client" |
    while read -r line; do printf '%s\t%s\n' "$client" "$line"; done
done < <(awk '{ print $1 }' <<<"$questions" | sort -u)
