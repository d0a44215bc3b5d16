#!/usr/bin/env bash
# timeout: 300
# What "meson install" puts where, and that the service can do what a mount needs.
# shellcheck disable=SC2154 # $build and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

export DESTDIR=$work/installed
ok 'meson install' meson install -C "$build" --no-rebuild
prefix=$DESTDIR/usr/local
unit=$prefix/lib/systemd/system/kvfs.service
is 'kv can be run from there' "$("$prefix/bin/kv" --version)" "$("$kv" --version)"
is 'kvfsd too' "$("$prefix/bin/kvfsd" --version)" "$("$kvfsd" --version)"
for name in mount.fuse.kvfs mount.kvfs; do
    is "mount(8) finds its command $name" "$(readlink "$DESTDIR/sbin/$name")" \
        /usr/local/bin/kvfsd
done
# Everything, and nothing else: pages, what shells complete with, the service.
man=usr/local/share/man
pages=$(cd "$root/docs/man" && for page in *.scd; do
    page=${page%.scd}
    echo "$man/man${page##*.}/$page"
done)
links=$(sed -nE "s/.*: \[('.*')\],/\1/p" "$root/docs/man/meson.build" | tr -d "' " | tr , '\n' |
    sed -E "s|.*\.([0-9])|$man/man\1/&|")
is 'what is installed' "$(cd "$DESTDIR" && find . ! -type d | sed 's|^\./||' | LC_ALL=C sort)" \
    "$(LC_ALL=C sort <<END
usr/local/bin/kv
usr/local/bin/kvfsd
sbin/mount.fuse.kvfs
sbin/mount.kvfs
usr/local/lib/systemd/system/kvfs.service
usr/local/share/bash-completion/completions/kv
usr/local/share/fish/vendor_completions.d/kv.fish
usr/local/share/zsh/site-functions/_kv
$pages
$links
END
)"
is 'every page opens' \
    "$(find "$DESTDIR/$man" -name '*.[1-8]' ! -exec grep -q '^\.SH NAME' {} \; -print)" ''
for shell in bash:bash-completion/completions/kv zsh:zsh/site-functions/_kv \
    fish:fish/vendor_completions.d/kv.fish; do
    is "the completion for ${shell%%:*} is what kv prints" \
        "$(cat "$prefix/share/${shell#*:}")" "$("$kv" completion "${shell%%:*}")"
done

is 'the service starts the kvfsd that was installed' \
    "$(sed -n 's/^ExecStart=\([^ ]*\) .*/\1/p' "$unit")" /usr/local/bin/kvfsd

# What the quickstart builds is enough for that, in a build directory of its own.
ok 'another build directory' meson setup "$work/lean" "$root" --buildtype=debug
ok 'what is to be installed is built' ninja -C "$work/lean" installed
ok '... and nothing is missing to install it' \
    env DESTDIR="$work/lean-installed" meson install -C "$work/lean" --no-rebuild
is '... which is the same' "$(cd "$work/lean-installed" && find . | LC_ALL=C sort)" \
    "$(cd "$DESTDIR" && find . | LC_ALL=C sort)"
is 'the quickstart builds that' "$(grep -c 'ninja -C build installed' "$root/packaging/quickstart")" 1

# What comes from npm counts only when it is what it was. This npm has something else.
mkdir -p "$work/copy/packaging" "$work/bin"
cp "$root/packaging/bundles" "$work/copy/packaging"
cat >"$work/bin/npm" <<'END'
#!/bin/sh
tar -czf other.tgz -C / etc/passwd && echo other.tgz
END
chmod +x "$work/bin/npm"
fails 'a package of npm that has changed is refused' 'SHA-512 differs' \
    env PATH="$work/bin:$PATH" "$work/copy/packaging/bundles" swagger-ui
is '... and nothing of it stays' "$(ls -A "$work/copy/vendor")" ''

# With a mount namespace of its own the service would show its mount to nobody else, and
# without the device it could not mount.
hiding='(Private(Tmp|Devices|Mounts|Users)|Protect(System|Home|Proc|Kernel[A-Za-z]*|'
hiding+='ControlGroups|Clock|Hostname)|DynamicUser|RootDirectory|RootImage|'
hiding+='(ReadOnly|ReadWrite|Inaccessible|Bind|BindReadOnly|Exec|NoExec)Paths|'
hiding+='TemporaryFileSystem|ProcSubset|MountFlags)'
is 'nothing in the service hides its mount' "$(grep -E "^$hiding=" "$unit")" ''

# The paths of the configuration are those of the service, and it is one that kvfsd reads.
conf=$root/packaging/systemd/kvfsd.conf
state=$(sed -n 's/^StateDirectory=//p' "$unit")
runtime=$(sed -n 's/^RuntimeDirectory=//p' "$unit")
is 'the keys are kept in the state directory' "$(sed -n 's/^data = //p' "$conf")" \
    "/var/lib/$state"
like '... and the socket is in the runtime directory' \
    "$(sed -n 's/^socket = //p' "$conf")" "^/run/$runtime/"
mkdir "$mnt"
start_kvfsd --config "$conf" --data "$data" --mount "$mnt" --socket "$sock" \
    --listen 127.0.0.1:0
is 'it starts with that configuration' $? 0
is '... which lets everybody into the mount' \
    "$(grep -F allow-other "$mnt/.kv/config")" 'allow-other = yes'
stop_daemon
finish
