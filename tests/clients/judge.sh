# shellcheck shell=bash disable=SC2154  # sourced by run.sh, whose variables it uses
# What must come back. Sourced by run.sh: the counters, the rules of questions.txt, and the checks of whole messages.

passed=0
failed=0
skipped=0

pass() { passed=$((passed + 1)) && echo "ok $1: $2"; }
fail() { failed=$((failed + 1)) && echo "FAIL $1: $2: expected $3 got $4"; }
skip() { skipped=$((skipped + 1)) && echo "skip $1: $2"; }

# What cannot be asked is no failure on a developer's machine, and is one where every tool was to be installed.
unavailable() {
  if [[ ${CI:-} == true ]]; then
    fail "$1" "can be asked" "a client" "none: $2"
  else
    skip "$1" "$2"
  fi
}

# check CLIENT WHAT EXPECTED GOT
check() {
  if [[ $3 == "$4" ]]; then pass "$1" "$2 is $3"; else fail "$1" "$2" "$3" "${4:-nothing}"; fi
}

# What the first client that was right said, by `TYPE NAME`. Later ones must say the same.
declare -A truth=()

full() {
  local name=$1
  name=${name/%@/default.svc.cluster.local.}
  printf '%s' "${name/%\%/cluster.local.}"
}

# An address as a label: names.md, `<host>`.
dashed() {
  local label=${1//[.:]/-}
  printf '%s' "${label/%-/-0}"
}

# The address that a PTR question is about: itself, or that of a name.
address_of() {
  case $2 in
    *[!0-9a-f.:]*) if [[ $1 == PTR6 ]]; then printf '%s' "${truth["AAAA $2"]:-}"; else printf '%s' "${truth["A $2"]:-}"; fi ;;
    *) printf '%s' "$2" ;;
  esac
}

# expected TYPE NAME RULE…: the answer in normal form; nothing where the rule does not fix it, or rests on an address
# that no client could find out.
expected() {
  local qtype=$1 name=$2 rule=$3 word number address
  shift 3
  case $rule in
    is) for word; do full "$word" && echo; done | words ;;
    all) for word; do tr ' ' '\n' <<<"${truth["$qtype $(full "$word")"]:-?}"; done | words ;;
    srv) for number in ${1//,/ }; do for word in "${@:2}"; do echo "$number:$(full "$word")"; done; done | words ;;
    dashed) for address in ${truth["A $(full "$2")"]:-?}; do echo "$1:$(dashed "$address").$(full "$2")"; done | words ;;
    ptr) for word; do echo "${word/#-./$(dashed "$name").}"; done | while read -r word; do full "$word" && echo; done | words ;;
    pods | vips) printf '%s' "${truth["$qtype $name"]:-}" ;;
    *) printf '%s' "$rule" ;;
  esac
}

# in_range RULE COUNT ANSWER: COUNT distinct addresses of the range that demo.toml's defaults give to pods or Services.
in_range() {
  local -A seen=()
  local address
  for address in $3; do
    case $1:$address in
      pods:10.244.* | pods:fd00:10:244:* | vips:10.96.* | vips:fd00:10:96::*) seen[$address]=1 ;;
      *) return 1 ;;
    esac
  done
  ((${#seen[@]} == $2)) && [[ $(wc -w <<<"$3") == "$2" ]]
}

# judge CLIENT SCENARIO TYPE NAME ANSWER RULE…
judge() {
  local client=$1 what="$2 $3 $4" qtype=$3 name=$4 got=$5 rule=$6 want
  shift 5
  want=$(expected "$qtype" "$name" "$@")
  case $rule in
    NXDOMAIN | NODATA) [[ $got != NONE ]] || want=NONE ;;
    pods | vips)
      if [[ -z $want ]] && in_range "$rule" "$2" "$got"; then
        want=$got
      fi
      want=${want:-$2 of the range of $rule}
      ;;
  esac
  [[ -z ${one_address[$client]:-} || -z $got || " $want " != *" $got "* ]] || want=$got
  [[ $got != "$want" ]] || truth["$qtype $name"]=${truth["$qtype $name"]:-$got}
  check "$client" "$what" "$want" "$got"
}

# Whether a client is asked this question.
suits() {
  local client=$1 qtype=${2/PTR6/PTR} name=$3 rule=$4 last=$5
  [[ " ${types[$client]} " == *" $qtype "* ]] || return 1
  [[ $qtype == PTR || $name == *. || -n ${search[$client]:-} ]] || return 1
  [[ $rule != REFUSED || -n ${shows_codes[$client]:-} ]] || return 1
  # A client of one name an address: which one of several is check_dynamic_names' affair.
  [[ $rule != ptr || -z ${first_name_only[$client]:-} || $last != -.* ]] || return 1
  # No search list of ours.
  [[ $name == *. || $qtype == PTR ]] || ((${#inside[@]}))
}

# Asks a client everything (that the file $questions has, where it is set) and judges it. Reverse questions come second: they are about the addresses of the first.
ask_and_judge() {
  local client=$1 round scenario qtype name rule question address
  local -A answers=()
  for round in forward reverse; do
    while read -r scenario qtype name rule; do
      address=$name
      if [[ $qtype == PTR* ]]; then
        [[ $round == reverse ]] || continue
        address=$(address_of "$qtype" "$(full "$name")")
      else
        [[ $round == forward ]] || continue
        address=$(full "$name")
      fi
      # shellcheck disable=SC2086  # the rule is words
      ! suits "$client" "$qtype" "$address" ${rule%% *} "${rule##* }" || echo "$scenario $qtype ${address:-?} $rule"
    done < <(grep -vE '^(#|$)' "${questions:-$here/questions.txt}") >"$tmp/asked"
    while IFS=$'\t' read -r qtype name question; do
      answers["$qtype $name"]=$question
    done < <(awk '{ sub(/6$/, "", $2); print $2, $3 }' "$tmp/asked" | ask "$client" 2>"$tmp/ask.log")
    while read -r scenario qtype name rule; do
      qtype=${qtype/PTR6/PTR}
      # shellcheck disable=SC2086
      judge "$client" "$scenario" "$qtype" "$name" "${answers["$qtype $name"]:-nothing}" $rule
    done <"$tmp/asked"
  done
}

# message FLAG…: dig's whole output, for what the normal form leaves out.
message() {
  run dig "@$server" -p "$port" +time=2 +tries=1 +noall +comments +question +answer +authority +additional "$@" || true
}

# flags of a message, e.g. "qr aa rd"
flags() { sed -nE 's/^;; flags: ([a-z ]*);.*/\1/p'; }

# contains WHAT PATTERN FLAG…: the message has a line that the extended expression matches.
contains() {
  local what=$1 pattern=$2 text
  shift 2
  text=$(message "$@")
  if grep -qE -- "$pattern" <<<"$text"; then
    pass dig "$what"
  else
    fail dig "$what" "a line like $pattern" "$(tr -s '\n' '|' <<<"$text")"
  fi
}

# Spaces and tabs between the fields of a record.
record() { local IFS=' '; printf '%s' "^$*\$" | sed 's/ /[[:space:]]+/g'; }

check_messages() {
  local zone=cluster.local. default=default.svc.cluster.local. first name starts=()
  check dig "flags of an answer" "qr aa rd" "$(message "redis-0.redis-h.$default" A | flags)"
  check dig "flags of NXDOMAIN" "qr aa" "$(message +norecurse "nothing.$default" A | flags)"
  check dig "flags outside the zone" "qr rd" "$(message example.com. A | flags)"
  contains "TTL of a record is 5" "$(record "web-0\.nginx\.$default" 5 IN A '10\.244\..*')" "web-0.nginx.$default" A
  contains "TTL of NXDOMAIN is 5" "$(record "$zone" 5 IN SOA '.*')" "nothing.$default" A
  contains "TTL of NODATA is 5" "$(record "$zone" 5 IN SOA '.*')" "nginx.$default" AAAA
  contains "TTL of what is expected is 0" "$(record "$zone" 0 IN SOA '.*')" "standby.$default" A
  contains "NXDOMAIN is NXDOMAIN" "status: NXDOMAIN" "standby.$default" A
  contains "SRV of three: weight 33" "$(record "_web\._tcp\.nginx\.$default" 5 IN SRV 0 33 80 "web-1\.nginx\.$default")" "_web._tcp.nginx.$default" SRV
  contains "SRV of two: weight 50" "$(record "kubia-state\.$default" 5 IN SRV 0 50 80 "10-244-.*\.kubia-state\.$default")" "kubia-state.$default" SRV
  contains "SRV of one: weight 100" "$(record "redis-0\.redis-h\.$default" 5 IN SRV 0 100 6379 "redis-0\.redis-h\.$default")" "redis-0.redis-h.$default" SRV
  contains "SRV of six: weight 16" "$(record "cassandra\.$default" 5 IN SRV 0 16 9042 "cassandra-0\.cassandra\.$default")" "cassandra.$default" SRV
  for name in 0 1 2; do
    contains "SRV of nginx carries the address of web-$name" \
      "$(record "web-$name\.nginx\.$default" 5 IN A "${truth["A web-$name.nginx.$default"]:-?}")" "_web._tcp.nginx.$default" SRV
  done
  contains "SRV of kubia-state carries 2 addresses" "ADDITIONAL: 3$" "kubia-state.$default" SRV
  contains "SRV of kubia-public carries the cluster IP" "$(record "kubia-public\.$default" 5 IN A "${truth["A kubia-public.$default"]:-?}")" "kubia-public.$default" SRV
  contains "SRV carries both families" "$(record "cassandra-0\.cassandra\.$default" 5 IN AAAA "${truth["AAAA cassandra-0.cassandra.$default"]:-?}")" "_cql._tcp.cassandra.$default" SRV
  contains "an alias is answered with its chain" "$(record "cache\.shop\.svc\.$zone" 5 IN CNAME "redis-h\.$default")" "cache.shop.svc.$zone" A
  contains "the question's spelling comes back" "^ReDiS-0\.rEdIs-H\.DeFaUlT\.sVc\.ClUsTeR\.lOcAl\.[[:space:]]+5" ReDiS-0.rEdIs-H.DeFaUlT.sVc.ClUsTeR.lOcAl. A
  contains "TCP answers" "$(record "redis-0\.redis-h\.$default" 5 IN A "${truth["A redis-0.redis-h.$default"]:-?}")" +tcp "redis-0.redis-h.$default" A
  contains "without EDNS there is no OPT" "ADDITIONAL: 0$" +noedns "redis-0.redis-h.$default" A
  contains "EDNS size stays at 1232" "udp: 1232$" +bufsize=4096 "redis-0.redis-h.$default" A
  contains "EDNS version 1 is BADVERS" "status: BADVERS" +edns=1 +noednsnegotiation "redis-0.redis-h.$default" A
  contains "the zone has an SOA" "^cluster\.local\.[[:space:]].*[[:space:]]SOA[[:space:]]ns\.dns\.cluster\.local\." "$zone" SOA
  contains "the root's NS get a reply" "status: [A-Z]+" . NS
  contains "another opcode is NOTIMP" "status: NOTIMP" +opcode=status "$zone" SOA
  contains "class CHAOS is REFUSED" "status: REFUSED" -c CH id.server. TXT
  contains "a transfer is REFUSED" "status: REFUSED|Transfer failed" "$zone" AXFR
  for name in 1 2 3 4 5 6; do
    first=$(run dig "@$server" -p "$port" +short "nginx.$default" A | head -n 1) || true
    [[ " ${starts[*]} " == *" $first "* ]] || starts+=("$first")
  done
  check dig "nginx starts with each of its addresses in 6 questions" 3 "${#starts[@]}"
}

# Names that contain an address, and the one name of several that a client shows for an address.
check_dynamic_names() {
  local client address name default=default.svc.cluster.local.
  for client; do
    for address in ${truth["A kubia-state.$default"]:-}; do
      name="$(dashed "$address").kubia-state.$default"
      [[ ${types[$client]} != *A* ]] || check "$client" "S5 A $name" "$address" "$(ask_one "$client" A "$name")"
    done
    address=${truth["A mysql-1.mysql.$default"]:-}
    [[ -z ${first_name_only[$client]:-} || -z $address ]] ||
      check "$client" "S8 the name of mysql-1's address" "mysql-1.mysql.$default" "$(ask_one "$client" PTR "$address")"
  done
}

ask_one() { echo "$2 $3" | ask "$1" | cut -f 3; }
