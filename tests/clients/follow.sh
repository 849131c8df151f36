# shellcheck shell=bash disable=SC2154  # sourced by run.sh, whose variables it uses
# Manifests that change while they are served: S1's scaling, S5's later Service, S6's peers.

# until_answer WHAT TYPE NAME EXPECTED: dig sees it within 10 s.
until_answer() {
  local tries got
  for ((tries = 0; tries < 100; tries++)); do
    got=$(ask_dig "$2" "$3")
    [[ $got != "$4" ]] || break
    sleep 0.1
  done
  check dig "$1: $2 $3" "$4" "$got"
}

# until_count WHAT TYPE NAME COUNT: as many words.
until_count() {
  local tries got
  for ((tries = 0; tries < 100; tries++)); do
    got=$(ask_dig "$2" "$3")
    # A code in capitals is none of them.
    [[ $got == [A-Z]* ]] || got=$(wc -w <<<"$got")
    [[ $got != "$4" ]] || break
    sleep 0.1
  done
  check dig "$1: how many $2 $3" "$4" "$got"
}

# As an editor saves: a new file is moved over the old one.
scale() {
  sed -E "s/^  replicas: [0-9]+$/  replicas: $2/" "$1" >"$tmp/edited.yaml"
  mv "$tmp/edited.yaml" "$1"
}

check_following() {
  local default=default.svc.cluster.local. folder=$tmp/manifests name kept before targets=()
  cp -r "$demo" "$folder"
  start_listening "$tmp/following.log" --manifests "$folder" || return 0

  kept=$(ask_dig A "redis-0.redis-h.$default")
  scale "$folder/s1-redis.yaml" 5
  until_count "S1 scaled 2 to 5" A "redis-h.$default" 5
  until_count "S1 scaled 2 to 5" A "redis-4.redis-h.$default" 1
  check dig "S1 scaled 2 to 5: redis-0 keeps its address" "$kept" "$(ask_dig A "redis-0.redis-h.$default")"
  scale "$folder/s1-redis.yaml" 2
  until_answer "S1 scaled 5 to 2" A "redis-2.redis-h.$default" NXDOMAIN
  until_answer "S1 scaled 5 to 2" A "redis-4.redis-h.$default" NXDOMAIN
  until_count "S1 scaled 5 to 2" A "redis-h.$default" 2
  check dig "S1 scaled 5 to 2: redis-0 keeps its address" "$kept" "$(ask_dig A "redis-0.redis-h.$default")"
  scale "$folder/s1-redis.yaml" 0
  until_answer "S1 scaled to 0" A "redis-h.$default" NXDOMAIN
  rm "$folder/s1-redis.yaml"
  until_answer "S1 deleted" SRV "redis-h.$default" NXDOMAIN

  before=$(ask_dig A "kubia-state.$default")
  check dig "S5 before the Service kubia: SRV kubia.$default" NXDOMAIN "$(ask_dig SRV "kubia.$default")"
  cp "$root/config/demo-later/kubia.yaml" "$folder/"
  until_answer "S5 with the Service kubia" SRV "kubia.$default" "80:kubia-0.kubia.$default 80:kubia-1.kubia.$default"
  check dig "S5 with the Service kubia: the same addresses" "$before" "$(ask_dig A "kubia.$default")"
  check dig "S5 with the Service kubia: kubia-state stays dashed" \
    "$(for name in $before; do echo "80:$(dashed "$name").kubia-state.$default"; done | words)" "$(ask_dig SRV "kubia-state.$default")"
  check dig "S5 with the Service kubia: SRV kubia-public.$default" "80:kubia-public.$default" "$(ask_dig SRV "kubia-public.$default")"

  kept=$(ask_dig A "kubia-0.kubia.$default")
  scale "$folder/s5-kubia.yaml" 3
  for name in 0 1 2; do targets+=("80:kubia-$name.kubia.$default"); done
  until_answer "S6 scaled 2 to 3" SRV "kubia.$default" "${targets[*]}"
  check dig "S6 scaled 2 to 3: kubia-0 keeps its address" "$kept" "$(ask_dig A "kubia-0.kubia.$default")"
  check_peers "$@"

  rm "$folder/kubia.yaml"
  until_answer "S5 without the Service kubia again" A "kubia-0.kubia.$default" NXDOMAIN
  printf 'kind: Service\nspec: [' >"$folder/broken.yaml"
  sleep 1
  check dig "a broken file takes nothing away" 10.96.0.1 "$(ask_dig A "kubernetes.$default")"
  stop_server
}

# S6: an HTTP server at each pod's address with that pod's data, and an application that finds them all through DNS.
check_peers() {
  local client name address ordinal want default=default.svc.cluster.local.
  ((${#inside[@]})) || { unavailable peers "$no_namespace"; return; }
  need peers busybox || return 0
  for ordinal in 0 1 2; do
    address=$(ask_dig A "kubia-$ordinal.kubia.$default")
    # Said already, where the set was scaled.
    [[ $address == 10.244.* ]] || return 0
    mkdir -p "$tmp/kubia-$ordinal"
    echo "data of kubia-$ordinal" >"$tmp/kubia-$ordinal/data"
    "${inside[@]}" ip addr add "$address/32" dev lo
    "${inside[@]}" busybox httpd -f -p "$address:80" -h "$tmp/kubia-$ordinal" &
    pids+=("$!")
  done
  want=$(for ordinal in 0 1 2; do echo "- kubia-$ordinal.kubia.$default: data of kubia-$ordinal"; done)
  name=kubia.default.svc.cluster.local
  for client; do
    case $client in
      go) check_peer_list go "$want" env GODEBUG=netdns=go "$tmp/lookup-go" peers "$name" ;;
      node) check_peer_list node "$want" node "$here/lookup.mjs" peers "$name" ;;
      python) check_peer_list python "$want" python3 "$here/lookup.py" peers "$name" 80 ;;
    esac
  done
}

# check_peer_list CLIENT EXPECTED COMMAND…
check_peer_list() {
  local client=$1 want=$2 got
  shift 2
  got=$(run "$@" 2>&1 | LC_ALL=C sort) || true
  check "$client" "S6 one request lists all members" "$(tr '\n' ';' <<<"$want")" "$(tr '\n' ';' <<<"$got")"
}
