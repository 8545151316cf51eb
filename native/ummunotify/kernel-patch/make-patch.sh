#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# make-patch.sh KERNEL_SOURCE >ummunotify.patch
#
# The driver as one patch against a kernel's source, as it would be sent to the
# list: made from the sources that the module is built from, and from what only
# a kernel tree has (tree/, message). Whoever makes it signs it off.
set -eu

die() {
	echo "make-patch: $*" >&2
	exit 1
}

here=$(cd "$(dirname "$0")" && pwd)
driver=${here%/*}
source=${1:?usage: make-patch.sh KERNEL_SOURCE}
[ -f "$source/MAINTAINERS" ] || die "$source is no kernel source"
[ ! -e "$source/drivers/char/ummunotify" ] || die "$source has the driver already"
version=$(make -s -C "$source" kernelversion)

name=$(git config user.name) || name="rdma-regcache developers"
email=$(git config user.email) || email="rdma-regcache@users.noreply.example"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# Only the files that change are needed, with no settings of the user's own.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME="$name" GIT_AUTHOR_EMAIL="$email"
export GIT_COMMITTER_NAME="$name" GIT_COMMITTER_EMAIL="$email"
git init -q .
while read -r file; do
	mkdir -p "$(dirname "$file")"
	cp "$source/$file" "$file"
done <<-END
	Documentation/userspace-api/index.rst
	Documentation/userspace-api/ioctl/ioctl-number.rst
	MAINTAINERS
	drivers/char/Kconfig
	drivers/char/Makefile
	tools/testing/selftests/Makefile
END
git add .
git commit -q -m "Linux $version"

# insert FILE WHERE PATTERN LINE: before or after the first line that matches
insert() {
	LINE=$4 awk -v where="$2" -v pattern="$3" '
		!done && $0 ~ pattern {
			if (where == "before") print ENVIRON["LINE"]
			print
			if (where == "after") print ENVIRON["LINE"]
			done = 1
			next
		}
		{ print }
		END { exit !done }' "$1" >"$1.new" ||
		die "$1 has no line like '$3'"
	mv "$1.new" "$1"
}

tab=$(printf '\t')
insert Documentation/userspace-api/index.rst before '^   vduse$' '   ummunotify'
insert Documentation/userspace-api/ioctl/ioctl-number.rst after "^'U'   00-EF " \
	"'U'   01-04  linux/ummunotify.h                                        conflict!"
insert drivers/char/Kconfig after '^source "drivers/char/xillybus/Kconfig"$' \
	'source "drivers/char/ummunotify/Kconfig"'
insert drivers/char/Makefile after '^obj-.*xillybus/$' \
	"obj-\$(CONFIG_UMMUNOTIFY)$tab+= ummunotify/"
insert tools/testing/selftests/Makefile before '^TARGETS [+]= user$' \
	'TARGETS += ummunotify'
insert MAINTAINERS before '^UNICODE SUBSYSTEM$' "$(
	sed "s|@MAINTAINER@|$name <$email>|" "$here/maintainers")
"

cp -R "$here/tree/." .
mkdir -p include/uapi/linux
cp "$driver/include/uapi/linux/ummunotify.h" include/uapi/linux
cp "$driver"/selftest/*.[ch] tools/testing/selftests/ummunotify
for file in "$driver"/*.[ch]; do
	case ${file##*/} in
	*.mod.c) ;;
	*) awk -f "$here/without-faults.awk" "$file" \
		>"drivers/char/ummunotify/${file##*/}" ;;
	esac
done

cd drivers/char/ummunotify
! grep -nw 'FAULT(\|UMMUNOTIFY_FAULT' *.[ch] >&2 || die "faults are left"
awk '
	/^ummunotify-y/ { list = 1 }
	list { print; list = /\\$/ }
	/^# SPDX/ { print; print "obj-$(CONFIG_UMMUNOTIFY) += ummunotify.o" }
' "$driver/Kbuild" >Makefile

# A tree has one version: what others need goes, and compat.h with it if that
# was all.
awk -v version="$version" -f "$here/one-version.awk" compat.h >compat.new ||
	die "compat.h cannot be reduced to one version"
if grep -q '^[^#/ *]' compat.new; then
	sed '/^\/\*$/,/^ \*\/$/d' compat.new >compat.h
else
	rm compat.h
	sed -i '/^#include "compat.h"$/d' *.c
fi
rm compat.new
cd "$work"

git add .
git commit -q -s -F "$here/message"
git format-patch -q --stdout --no-signature -1
