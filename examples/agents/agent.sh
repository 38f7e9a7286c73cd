# Stands where a real agent would: takes a prompt, works on /src (what it writes there vanishes), leaves a report.
set -eu
echo "done by $TASK" >>NOTES
printf '# %s\n\nAsked: %s\n\n' "$TASK" "$1"
grep -rn TODO . || echo "nothing left to do"
wc -l ./*
