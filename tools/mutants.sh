#!/usr/bin/env bash
# Changes core in one place at a time, and looks whether its tests notice.
#
#   tools/mutants.sh NAME ARGUMENT…   the mutants that the arguments choose, as `cargo mutants` takes them
#   tools/mutants.sh changed COMMIT   of what was changed since COMMIT, at most SAMPLE, and for at most LIMIT seconds
#
# The transcripts look at each, for they take no second; then the tests of parts at those that the transcripts missed, and all
# of core's tests at the rest.
# Results are in target/mutants/NAME. What may survive stands in .cargo/mutants.toml, with the reason.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly SAMPLE=20 LIMIT=170

name=$1 results=target/mutants/$1
shift
mkdir -p "$results"
rm -rf "$results"/mutants.out*
# Dependencies are built once, though cargo-mutants works on a new copy of the sources each time.
export CARGO_TARGET_DIR=$PWD/target/mutants/build

choice=("$@")
if [ "$name" = changed ]; then
  if ! git rev-parse --quiet --verify "$1^{commit}" >/dev/null; then
    echo "mutants: there is no $1 here, so nobody knows what was changed"
    exit 0
  fi
  git diff "$1" -- core/src >"$results/diff"
  count=$(cargo mutants --list --in-diff "$results/diff" 2>/dev/null | wc -l)
  if [ "$count" = 0 ]; then
    echo "mutants: nothing that can be mutated was changed in core since $1"
    exit 0
  fi
  # The same ones each time.
  choice=(--in-diff "$results/diff" --sharding round-robin --shard "0/$(((count + SAMPLE - 1) / SAMPLE))")
fi

of() { wc -l <"$results/mutants.out/$1.txt"; }

caught=0 late=0 unviable=0 missed=unknown
# look SECONDS ARGUMENT…: what becomes of the mutants of `choice` under these tests, for so long each. Those that are missed
# are the next choice.
look() {
  local seconds=$1 status=0 within=() mutant
  shift
  if [ "$name" = changed ]; then
    within=(timeout --signal=INT --kill-after=10 "$((LIMIT - SECONDS > 0 ? LIMIT - SECONDS : 1))")
  fi
  # That the tests pass without a change is known from `make test`.
  "${within[@]}" cargo mutants --no-shuffle --baseline skip --output "$results" --timeout "$seconds" "${choice[@]}" "$@" ||
    status=$?
  case $status in
    0 | 2 | 3) ;; # 2: some were missed; 3: some ran for too long, which is noticed, too.
    *) [ "$name" = changed ] && [ "$SECONDS" -ge "$LIMIT" ] || exit "$status" ;;
  esac
  caught=$((caught + $(of caught))) late=$((late + $(of timeout))) unviable=$((unviable + $(of unviable)))
  missed=$(of missed) choice=(--package=queenright-core)
  while IFS= read -r mutant; do choice+=(--re "^$(sed 's/[][\.^$*+?(){}|]/\\&/g' <<<"$mutant")\$"); done \
    <"$results/mutants.out/missed.txt"
}
has_more() { [ "$missed" -gt 0 ] && { [ "$name" != changed ] || [ "$SECONDS" -lt "$LIMIT" ]; }; }

look 20 -C --test=transcripts
if has_more; then
  # Without those that take their time.
  PROPTEST_CASES=32 look 60 -C --lib -C --test=wire -- -- --skip=fuzz::
fi
if has_more; then
  look 120 -C --tests
elif [ "$missed" -gt 0 ]; then
  echo "mutants: no time was left for all of the tests, so $missed that some of them missed are open"
  missed=0
fi
echo "mutants: $caught caught, $late ran for too long, $unviable do not compile, $missed survived: $results"
[ "$missed" = 0 ] || cat "$results/mutants.out/missed.txt"
# How many of a sample are tried depends on the machine, and a few places have two ways of being right: one in ten may
# survive there. Of all of them none may that has no reason in .cargo/mutants.toml.
tolerated=0
[ "$name" != changed ] || tolerated=$(((caught + late + missed) / 10))
[ "$missed" -le "$tolerated" ]
