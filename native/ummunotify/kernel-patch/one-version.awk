# SPDX-License-Identifier: GPL-2.0
#
# Keeps of a header what is meant for one kernel version (-v version=6.1.0):
# decides every "#if LINUX_VERSION_CODE < KERNEL_VERSION(...)" with its #else
# and #endif, drops <linux/version.h>, and fails on other such conditions.

function code(a, b, c) { return a * 65536 + b * 256 + (c > 255 ? 255 : c) }

BEGIN {
	split(version, v, /[^0-9]+/)
	depth = 0
	blank = 0
}

/^#[ \t]*if.*LINUX_VERSION_CODE/ {
	if ($0 !~ /^#if LINUX_VERSION_CODE (<|>=) KERNEL_VERSION\([0-9]+, [0-9]+, [0-9]+\)$/)
		exit failed = 1
	split($0, w, /[^0-9]+/)
	less = code(v[1], v[2], v[3]) < code(w[2], w[3], w[4])
	kind[++depth] = "version"
	keep[depth] = index($0, "<") ? less : !less
	next
}
/^#[ \t]*if/ { kind[++depth] = "other"; keep[depth] = 1 }
/^#[ \t]*(else|elif)/ && kind[depth] == "version" {
	if (/elif/)
		exit failed = 1
	keep[depth] = !keep[depth]
	next
}
/^#[ \t]*endif/ {
	if (kind[depth--] == "version")
		next
}
/^#include <linux\/version.h>$/ { next }
{
	for (i = 1; i <= depth; i++)
		if (!keep[i])
			next
	# What went between two empty lines leaves one of them.
	if ($0 == "" && blank)
		next
	blank = $0 == ""
	print
}
END { exit failed || depth != 0 }
