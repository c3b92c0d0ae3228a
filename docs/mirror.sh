#!/bin/sh
# Brings a mirror of a published tree up to date by rsync. Readers of the mirror never meet half of a tree.
#
#   mirror.sh SOURCE DESTINATION
#
# SOURCE is the root of the tree, as rsync takes it: rsync://host/module, host:/path or /path. DESTINATION is the
# directory that the web server serves. Exit status: 0 when it is up to date, 1 when it stays as it was.
set -eu

source=${1:?usage: mirror.sh SOURCE DESTINATION}
destination=${2:?usage: mirror.sh SOURCE DESTINATION}
waiting=$destination/.mirror

umask 022
mkdir -p "$waiting/v1" "$destination/v1/objects"
exec 9>"$destination/.mirror.lock"
if ! flock -n 9; then
    echo "mirror.sh: another run is working on $destination" >&2
    exit 1
fi

# Status 24 is about files that went meanwhile.
copy() {
    rsync --recursive --times --perms --chmod=D755,F644 --timeout=60 "$@" || [ $? -eq 24 ]
}

# A change may keep both size and time, so digests are compared. Objects never change.
pointers() {
    copy --checksum --delete --include=/v1/ --include='/v1/index.json*' --include='/v1/status.json*' \
        --include='/v1/changes.json*' --include='/v1/pending.json*' --exclude='*' "$source/" "$waiting/"
}

generation() {
    sed -n 's/.*"generation":\([0-9]*\).*/\1/p' "$waiting/v1/index.json"
}

# Into waiting, until no one published between beginning and end: then all of it is of one generation.
tries=0
while true; do
    pointers
    if [ ! -e "$waiting/v1/index.json" ]; then
        echo "mirror.sh: $source has no v1/index.json: is it the root of a published tree?" >&2
        exit 1
    fi
    began=$(generation)
    copy --checksum --delete --exclude='.*' --exclude=/v1/objects/ --exclude='/v1/index.json*' \
        --exclude='/v1/status.json*' --exclude='/v1/changes.json*' --exclude='/v1/pending.json*' "$source/" "$waiting/"
    pointers
    if [ "$(generation)" = "$began" ] && [ ! -e "$waiting/v1/pending.json" ]; then
        break
    fi
    tries=$((tries + 1))
    if [ $tries -ge 5 ]; then
        echo "mirror.sh: $source is being published to, or was left half published; the mirror stays as it was" >&2
        exit 1
    fi
    sleep 5
done

# Objects first: what the new files refer to is there before them. Then the rest, and the index at the very end.
copy --size-only --fsync --exclude='.*' "$source/v1/objects/" "$destination/v1/objects/"
copy --checksum --fsync --exclude='/v1/index.json*' --exclude='/v1/status.json*' --exclude='/v1/changes.json*' \
    "$waiting/" "$destination/"
copy --checksum --fsync --include=/v1/ --include='/v1/status.json*' --include='/v1/changes.json*' --exclude='*' \
    "$waiting/" "$destination/"
copy --checksum --fsync --include=/v1/ --include='/v1/index.json*' --exclude='*' "$waiting/" "$destination/"

# What is gone at the source goes last.
copy --delete --existing --ignore-existing --exclude='/.*' --exclude=/v1/objects/ "$waiting/" "$destination/"
copy --delete --existing --ignore-existing --exclude='.*' "$source/v1/objects/" "$destination/v1/objects/"
