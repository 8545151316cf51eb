#!/bin/sh
# Runs in the guest, on the debug kernel with the driver as a module: the selftests, load of all kinds, and unloading.
# Usage: module.sh RESULTS SELFTESTS BUSYBOX DRIVER SECONDS SEED
results=$1 selftests=$2 busybox=$3 driver=$4 seconds=$5 seed=$6
. "$(dirname "$0")/outcomes.sh"
: >"$results"

tap 'debug kernel: selftest' "$selftests/ummunotify_test"
tap 'debug kernel: isolation' "$selftests/ummunotify_isolation"
tap 'debug kernel: failures, one by one' "$selftests/ummunotify_failnth"
tap 'debug kernel: model' "$selftests/ummunotify_model" -t "$seconds" -s "$seed"
tap 'debug kernel: model' "$selftests/ummunotify_model" -t "$seconds" -s "$seed" -f
tap 'debug kernel: stress' "$selftests/ummunotify_stress" -t "$seconds" -s "$seed"
tap 'debug kernel: stress' "$selftests/ummunotify_stress" -t "$seconds" -s "$seed" -f
tap 'debug kernel: fuzzer' "$selftests/ummunotify_fuzz" -t "$seconds" -s "$seed"
tap 'debug kernel: fuzzer' "$selftests/ummunotify_fuzz" -t "$seconds" -s "$seed" -f

check() { # NAME COMMAND...
  name=$1
  shift
  if "$@"; then outcome passed "$name"; else outcome failed "$name"; fi
}
is_gone() {
  ! [ -e /sys/module/ummunotify ] && ! [ -e /dev/ummunotify ] && ! grep -q ummunotify /proc/slabinfo
}
stays_while_open() {
  ! "$busybox" rmmod ummunotify 3</dev/ummunotify 2>/dev/null && [ -e /sys/module/ummunotify ]
}
comes_and_goes() {
  for i in 1 2 3 4 5; do
    "$busybox" insmod "$driver" && "$selftests/ummunotify_test" close_with_ranges >/dev/null &&
      "$busybox" rmmod ummunotify || return 1
  done
}

check 'debug kernel: the module stays while a file is open' stays_while_open
check 'debug kernel: the module unloads' "$busybox" rmmod ummunotify
check 'debug kernel: nothing of the module stays' is_gone
leaks 'debug kernel: no memory is lost'
check 'debug kernel: the module loads and unloads again and again' comes_and_goes
