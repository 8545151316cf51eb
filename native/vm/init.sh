#!/bin/busybox sh
# The guest's first process. It makes the host's files the root (read-only below, writes go to memory), brings up
# Soft-RoCE and our driver, runs the one command it is sent, reports its exit status and powers off.
#
# Talk with the host goes through virtio-serial ports, so that the command's output stays clean of the kernel's:
#   control  host -> guest: the settings and the command, each "SIZE\n" and SIZE bytes of shell
#            guest -> host: "ready", then "status STATUS TAINT STDOUT_BYTES STDERR_BYTES", or "fail WHY"
#   stdout, stderr  the command's output, byte for byte

/bin/busybox --install -s /bin
export PATH=/bin
root=/host

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
echo "guest: started"

fail() {
  echo "guest: $*"
  # Without its control port the guest can only leave; the host shows the console.
  [ -e /dev/control ] && echo "fail $*" >&3
  sleep 1
  poweroff -f
}

for file in /modules/*; do
  [ -e "$file" ] || continue
  insmod "$file" || fail "insmod ${file##*/} failed"
done

tries=0
while [ ! -e /dev/control ]; do
  for port in /sys/class/virtio-ports/*; do
    [ -e "$port/name" ] || continue
    name=$(cat "$port/name")
    [ -n "$name" ] && ln -sf "/dev/${port##*/}" "/dev/$name.port"
  done
  if [ -e /dev/control.port ] && [ -e /dev/stdout.port ] && [ -e /dev/stderr.port ]; then
    ln -s control.port /dev/control
    break
  fi
  tries=$((tries + 1))
  [ $tries -gt 200 ] && fail "the virtio-serial ports did not appear"
  usleep 50000
done
exec 3<>/dev/control

receive() {
  read -r size <&3 || fail "no $1 from the host"
  # Not head: it reads ahead and would swallow what follows.
  dd bs="$size" count=1 iflag=fullblock <&3 >"$2" 2>/dev/null
}
receive settings /settings
. /settings # project, shares, rdma, address

mkdir -p /lower /upper "$root"
plan9="trans=virtio,version=9p2000.L,msize=524288"
mount -t 9p -o "$plan9,ro,cache=loose" host /lower || fail "mounting the host's files failed"
mount -t tmpfs -o size=75% upper /upper
mkdir /upper/files /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work overlay "$root" ||
  fail "the overlay over the host's files failed"

# An existing directory is never hidden by an empty one, except where the kernel's own belongs: the project itself
# may live below /tmp.
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/tmp"
chmod 1777 "$root/tmp"
mount -t proc proc "$root/proc"
mount -t sysfs sys "$root/sys"
mount -t debugfs debugfs "$root/sys/kernel/debug"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mkdir -p /dev/shm /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t devpts -o ptmxmode=666,mode=620,gid=5 devpts /dev/pts
ln -sf /proc/self/fd /dev/fd
ln -sf fd/0 /dev/stdin
ln -sf fd/1 /dev/stdout
ln -sf fd/2 /dev/stderr
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 run "$root/run"

for share in $shares; do
  mount -t 9p -o "$plan9,rw,cache=none" "$share" "$root$project/$(echo "$share" | tr - /)" ||
    fail "mounting the writable $share failed"
done

hostname guest
# busybox does this much faster than the host's ip with its libraries over 9p; the peer gets the name veth0.
ip link set lo up
if [ -n "$address" ]; then
  netdev=eth0 # the cable to another guest
else
  netdev=roce0
  ip link add roce0 type veth
  ip link set veth0 up
fi
ip address add "${address:-192.0.2.1/24}" dev $netdev
ip link set $netdev up
chroot "$root" "$rdma" link add rxe0 type rxe netdev $netdev ||
  fail "Soft-RoCE did not come up (rdma link add rxe0)"

mkdir "$root/run/rdma-regcache" "$root/sys/fs/cgroup/command"
receive command "$root/run/rdma-regcache/command"
mkfifo /stdout /stderr
ulimit -l unlimited
ulimit -Hn 1048576
taint=$(cat /proc/sys/kernel/tainted)

dd bs=65536 </stdout >/dev/stdout.port 2>/stdout.count 3>&- &
stdout=$!
dd bs=65536 </stderr >/dev/stderr.port 2>/stderr.count 3>&- &
stderr=$!
echo ready >&3
(
  echo 0 >"$root/sys/fs/cgroup/command/cgroup.procs"
  exec setsid chroot "$root" /bin/sh /run/rdma-regcache/command
) </dev/null >/stdout 2>/stderr 3>&-
status=$?

# Whatever the command left running ends here, also for the driver, whose last release then runs before the check.
echo 1 >"$root/sys/fs/cgroup/command/cgroup.kill"
tries=0
while kill -0 $stdout 2>/dev/null || kill -0 $stderr 2>/dev/null; do
  tries=$((tries + 1))
  [ $tries -gt 100 ] && break
  usleep 20000
done
sync
bytes() { sed -n 's/ bytes.*//p' "$1" | tail -n 1 | grep . || echo -1; }
# Bits that were set before the command (an out-of-tree module sets some) are not its doing.
now=$(cat /proc/sys/kernel/tainted)
echo 'guest: ended'
echo "status $status $((now & ~taint)) $(bytes /stdout.count) $(bytes /stderr.count)" >&3
sleep 10
poweroff -f
