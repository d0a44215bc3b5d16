# What programs do with files, on kvfs and on other filesystems in one run: in each round
# every filesystem has its turn, and medians are compared. run sources this.
#
# A close on kvfs is durable, as fsync is elsewhere. So there are two daemons: kvfs, which
# is compared with ext4 and fsync, and kvfs-off (--sync=off), which is compared with what
# syncs nothing either. tmpfs and ext4 are in the kernel; bindfs and fuse-overlayfs are
# FUSE like kvfs, both over a tmpfs.
# shellcheck shell=bash disable=SC2154 # variables of run and functions.sh

declare -A bench_dir # where the files of a filesystem are
in_kernel=(tmpfs ext4) in_fuse=(bindfs overlayfs)

install_peers()
{
    command -v bindfs >/dev/null && command -v fuse-overlayfs >/dev/null &&
        command -v mkfs.ext4 >/dev/null && return
    apt-get -qq update >/dev/null &&
        apt-get -qq install -y bindfs fuse-overlayfs e2fsprogs git rsync >/dev/null
}

# shellcheck disable=SC2034 # for start_daemon
# start_second: another daemon beside the first, with --sync=off; afterwards $mnt is its.
start_second()
{
    started_pids+=("$daemon")
    data=$work/data-off mnt=$work/mnt-off sock=$work/off.sock
    need_daemon --sync off
}

mount_all()
{
    install_peers || return 1
    mkdir "$work"/{tmpfs,ext4,bindfs,overlayfs}
    mount -t tmpfs tmpfs "$work/tmpfs" || return 1
    mkdir "$work"/tmpfs/{plain,bound,lower,upper,overlay}
    truncate -s 4G "$work/ext4.image"
    mkfs.ext4 -q "$work/ext4.image" && mount -o loop "$work/ext4.image" "$work/ext4" &&
        bindfs "$work/tmpfs/bound" "$work/bindfs" &&
        fuse-overlayfs -o "lowerdir=$work/tmpfs/lower,upperdir=$work/tmpfs/upper" \
            -o "workdir=$work/tmpfs/overlay" "$work/overlayfs" 2>/dev/null || return 1
    bench_dir=([tmpfs]=$work/tmpfs/plain [ext4]=$work/ext4 [bindfs]=$work/bindfs
        [overlayfs]=$work/overlayfs)
    need_daemon
    bench_dir[kvfs]=$mnt
    start_second
    bench_dir[kvfs-off]=$mnt
}

unmount_all()
{
    umount "$work"/{bindfs,overlayfs,ext4}
    wait_for umount "$work/tmpfs" # their daemons end a moment later
    stop_quietly
}

# sample CALL FILESYSTEM FILES ROUNDS: one figure, in microseconds.
sample()
{
    "$bench/files" "$1" "${bench_dir[$2]}/d$3" "$3" "$4" >>"$work/mount.${row// /-}.$2"
}

forget_all()
{
    sync
    echo 2 >/proc/sys/vm/drop_caches
}

# -- What is measured, for one filesystem and round; $row names it ----------------------

bench_files()
{
    local row fs=$1
    for row in read stat; do
        sample "$row" "$fs" 1000 20000
    done
}

bench_writes()
{
    local row fs=$1
    for row in overwrite create; do
        sample "$row" "$fs" 1000 1000
    done
}

bench_durable()
{
    local row fs=$1
    for row in overwrite-fsync create-fsync; do
        sample "$row" "$fs" 1000 300
    done
}

bench_listings()
{
    local row call fs=$1
    for call in list names first; do
        forget_all
        row="$call cold"
        sample "$call" "$fs" 10000 1
        row="$call warm"
        sample "$call" "$fs" 10000 5
    done
}

# timed FILESYSTEM COMMAND...
timed()
{
    local fs=$1 start=$EPOCHREALTIME
    shift
    "$@" >>"$work/programs.log" 2>&1 || return 1
    awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { print (b - a) * 1e6 }' \
        >>"$work/mount.${row// /-}.$fs"
}

bench_programs()
{
    local row fs=$1 at=${bench_dir[$1]}
    row='git clone'
    timed "$fs" git clone -q --no-hardlinks "$root" "$at/clone" &&
        [ -z "$(git -C "$at/clone" status --porcelain)" ] || echo "git clone failed on $fs" >&2
    row=rsync
    timed "$fs" rsync -a "${bench_dir[tmpfs]}/d10000/" "$at/rsync" &&
        diff -r "${bench_dir[tmpfs]}/d10000" "$at/rsync" || echo "rsync failed on $fs" >&2
    rm -rf "$at/clone" "$at/rsync"
}

# -- What came of it -------------------------------------------------------------------

# table OURS PEER... -- ROW...: medians in microseconds, and how many times as fast as each
# peer we are.
table()
{
    local ours=$1 peers=() row peer mine theirs
    shift
    while [ "$1" != -- ]; do
        peers+=("$1")
        shift
    done
    shift
    printf '%-16s %12s' '' "$ours"
    printf ' %20s' "${peers[@]}"
    echo
    for row; do
        mine=$(median <"$work/mount.${row// /-}.$ours")
        printf '%-16s %9.1f us' "$row" "$mine"
        for peer in "${peers[@]}"; do
            theirs=$(median <"$work/mount.${row// /-}.$peer")
            printf ' %9.1f us (%5.2f)' "$theirs" "$(awk -v a="$mine" -v b="$theirs" 'BEGIN { print b / a }')"
        done
        echo
    done
}

# make_files FILES FILESYSTEM...: a directory of so many files on each.
make_files()
{
    local fs count=$1
    shift
    for fs; do
        mkdir "${bench_dir[$fs]}/d$count"
        "$bench/files" make "${bench_dir[$fs]}/d$count" "$count" 1 >/dev/null || return 1
    done
    wait_for all_announced
}

prepare()
{
    mount_all && return
    echo "cannot set up the filesystems; the log of kvfsd ends with:" >&2
    tail -n 5 "$log" >&2
    exit 1
}

note_units()
{
    echo "    (medians of $rounds rounds; in brackets: how many times as fast kvfs is)"
}

bench_mount()
{
    local round fs
    prepare
    { make_files 1000 "${!bench_dir[@]}" && make_files 10000 tmpfs; } || exit 1
    for ((round = 0; round < rounds; round++)); do
        for fs in kvfs "${in_kernel[@]}" "${in_fuse[@]}"; do
            bench_files "$fs"
        done
        for fs in kvfs-off "${in_kernel[@]}" "${in_fuse[@]}"; do
            bench_writes "$fs"
            bench_programs "$fs"
        done
        for fs in kvfs ext4; do
            bench_durable "$fs"
        done
    done
    table kvfs "${in_kernel[@]}" "${in_fuse[@]}" -- read stat
    table kvfs-off "${in_kernel[@]}" "${in_fuse[@]}" -- overwrite create 'git clone' rsync
    table kvfs ext4 -- overwrite-fsync create-fsync
    note_units
    unmount_all
}

bench_readdir()
{
    local round fs
    prepare
    make_files 10000 kvfs "${in_kernel[@]}" "${in_fuse[@]}" || exit 1
    for ((round = 0; round < rounds; round++)); do
        for fs in kvfs "${in_kernel[@]}" "${in_fuse[@]}"; do
            bench_listings "$fs"
        done
    done
    echo 'a directory of 10,000 files: all names, with lstat of each (list), the first one'
    table kvfs "${in_kernel[@]}" "${in_fuse[@]}" -- 'list cold' 'list warm' 'names cold' \
        'names warm' 'first cold' 'first warm'
    note_units
    unmount_all
}
