# Sourced by the scripts that run in the guest: each outcome becomes a line of JSON in $results, as test/runner reads
# it.

outcome() { # passed|failed NAME
  echo "  $1: $2"
  printf '{"kind":"%s","name":"%s"}\n' "$1" "$2" >>"$results"
}

# The outcomes of a program that prints TAP; one that ends early or says nothing has failed.
tap() { # SUITE COMMAND...
  suite=$1
  shift
  echo "$suite: $*"
  "$@" 2>&1 | tee /tmp/tap | grep -v '^ok .* # SKIP not asked for'
  # The last line of the program below is its verdict on the whole.
  awk -v suite="$suite" '
    function emit(kind, name) { printf "{\"kind\":\"%s\",\"name\":\"%s > %s\"%s}\n", kind, suite, name, needs }
    { needs = "" }
    /^1\.\./ { planned = substr($0, 4) }
    /^(not )?ok / { seen++ }
    /^# SKIP / { why = substr($0, 8) }
    /^ok / {
      sub(/^ok [0-9]+ /, "")
      if (/ # SKIP/) {
        if (match($0, / # SKIP .+/)) why = substr($0, RSTART + 8)
        sub(/ # SKIP.*/, "")
        gsub(/["\\]/, "", why)
        needs = ",\"needs\":\"" why "\""
        emit("skipped", $0)
      } else emit("passed", $0)
    }
    /^not ok / { sub(/^not ok [0-9]+ /, ""); emit("failed", $0) }
    END { if (!planned || seen != planned) { needs = ""; emit("failed", "runs to its end") } }
  ' /tmp/tap >>"$results"
}

# Twice, because an object counts as lost only when two scans that are some seconds apart found no pointer to it.
leaks() { # NAME
  kmemleak=/sys/kernel/debug/kmemleak
  echo scan >$kmemleak
  sleep 6
  echo scan >$kmemleak
  # The file's size is always 0. Reading it fails where the check is off, which is no pass either.
  if lost=$(cat $kmemleak) && [ -z "$lost" ]; then
    outcome passed "$1"
  else
    echo "$lost"
    outcome failed "$1"
  fi
}
