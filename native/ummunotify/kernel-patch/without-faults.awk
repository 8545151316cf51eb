# SPDX-License-Identifier: GPL-2.0
#
# Leaves out the faults that the driver can be built with to test its tests:
# FAULT(n) is 0. Knows the forms in which they are written; make-patch.sh
# refuses what is left.

function end_of_statement() { return /;[ \t]*$/ }

# A comment at the left margin is kept back until its whole text is known.
/^\/\*/ { held = ""; holding = 1 }
holding {
	held = held $0 "\n"
	if (!/\*\//)
		next
	holding = 0
	if (held ~ /For testing the tests/)
		next
	if (held ~ /For FAULT\([0-9]+\) only/) {
		skip = "function"
		next
	}
	printf "%s", held
	blank = 0
	next
}

skip == "function" {
	if (/^}/)
		skip = "blank"
	next
}
skip == "blank" {
	skip = ""
	if ($0 == "")
		next
}
skip == "block" {
	if (/^#endif/)
		skip = ""
	next
}
skip == "statement" {
	if (end_of_statement())
		skip = ""
	next
}

/^#(if|ifdef|ifndef) UMMUNOTIFY_FAULT$/ { skip = "block"; next }
/^#define FAULT\(n\)/ { next }

/^\t+if \(!FAULT\([0-9]+\)\)$/ { outdent = 1; next }
/^\t+if \((.* && )?FAULT\([0-9]+\)( && .*)?\)$/ { skip = "statement"; next }

{
	gsub(/ && !FAULT\([0-9]+\)/, "")
	gsub(/ \|\| FAULT\([0-9]+\)/, "")
	gsub(/FAULT\([0-9]+\) \? [^:]* : /, "")
	if (outdent) {
		outdent = !end_of_statement()
		sub(/^\t/, "")
	}
	# Not two empty lines where something was between them.
	if ($0 == "" && blank)
		next
	blank = $0 == ""
	print
}
