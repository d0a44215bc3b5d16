#!/usr/bin/env bash
# timeout: 120
# A life with git in the mount: commits, branches, merges, a clone, push and fetch between
# repositories that lie in it, gc and repack (packs are read by private mapping and renamed
# into place), worktrees, stash, and fsck at each end. Its index trusts lstat, its refs trust
# lock files made with O_EXCL. Also make in a small C project: it builds exactly what
# changed, which needs times that never run backwards, also for what comes over HTTP.
# shellcheck disable=SC2154 # $mnt and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

need_daemon
export HOME=$work GIT_CONFIG_NOSYSTEM=1 EDITOR=false
git config --global user.name Tester
git config --global user.email tester@example.org
git config --global init.defaultBranch main
git config --global gc.auto 0
git config --global advice.detachedHead false
git config --global core.fsync all # each object, ref and the index
mkdir "$mnt/g"
cd "$mnt/g" || exit 1

sound()
{
    git fsck --strict --full 2>&1 | grep -v '^dangling'
}

# -- One repository --

git init -q one && cd one || exit 1
mkdir -p src/deep
for i in {1..100}; do echo "file $i" >"src/f$i"; done
echo '#!/bin/sh' >run && chmod 755 run && ln -s run link
head -c 500000 /dev/urandom >blob
ok 'add and commit' sh -c 'git add . && git commit -qm first'
is '... what is committed is what is there' "$(git status --porcelain)" ''
is '... modes and links' "$(git ls-files -s run link | cut -c1-6 | paste -sd' ')" '120000 100755'
echo more >>src/f5 && rm src/f6 && mv src/f7 src/deep/moved && chmod 644 run
is 'status sees each change' "$(git status --porcelain | sort)" \
    "$(lines ' D src/f6' ' D src/f7' ' M run' ' M src/f5' '?? src/deep/' | sort)"
put g/one/src/f8 'from HTTP' >/dev/null
is '... and one made over HTTP' "$(git diff --name-only src/f8)" src/f8
printf 'FILE 9\n' >src/f9 # of the same size, perhaps in the same moment
is '... and one of the same size' "$(git diff --name-only src/f9)" src/f9
ok 'commit -a' git commit -qam second
ok 'checkout of the first commit' git checkout -q HEAD~1
is '... brings back what it had' "$(cat src/f5 src/f6 src/f7 src/f8) $(stat -c %a run)" \
    "$(lines 'file 5' 'file 6' 'file 7' 'file 8') 755"
ok '... and back' git checkout -q main
ok 'a branch' sh -c 'git checkout -qb topic && echo topic >topic && git add topic &&
    git commit -qm topic && git checkout -q main && echo main >src/f1 && git commit -qam main'
ok 'merge' git merge -q --no-edit topic
is '... has both' "$(cat topic src/f1)" "$(lines topic main)"
ok 'rebase' sh -c 'git checkout -q topic && echo 2 >>topic && git commit -qam topic2 &&
    git rebase -q main && git checkout -q main'
echo stashed >src/f2
ok 'stash and pop' sh -c 'git stash -q && grep -q "file 2" src/f2 && git stash pop -q &&
    grep -q stashed src/f2 && git checkout -q src/f2'
is 'fsck' "$(sound)" ''
ok 'gc' git gc -q --prune=now
is '... packs everything' "$(git count-objects -v | grep -E '^(count|packs):' | paste -sd' ')" \
    'count: 0 packs: 1'
ok 'repack, commit-graph, multi-pack-index' sh -c 'git repack -adfq &&
    git commit-graph write --reachable --no-progress && git multi-pack-index write --no-progress'
is '... fsck' "$(sound)" ''
is '... log -p reads it all' "$(git log -p --all | grep -c '^commit ')" 6
ok 'worktree add' git worktree add -q ../tree topic
is '... has what the branch has' "$(git -C ../tree status --porcelain; cat ../tree/topic)" \
    "$(lines topic 2)"
ok 'clean' sh -c 'touch untracked src/untracked && git clean -fdq'
is 'git grep' "$(git grep -l 'file 99')" src/f99

# -- Several --

cd .. || exit 1
ok 'clone' git clone -q one two
ok '... is the same' diff -r --exclude=.git --no-dereference one two
ok 'clone --bare from the mount to a disk' git clone -q --bare one "$work/bare"
is '... fsck' "$(cd "$work/bare" && sound)" ''
ok 'clone by the transport, which reads its pack while it writes it' \
    git clone -q "file://$PWD/one" transported
is '... fsck' "$(cd transported && sound)" ''
ok 'clone from a disk' git clone -q "$work/bare" three
ok 'clone --bare within' git clone -q --bare one bare
cd two || exit 1
ok 'commit, push' sh -c 'git remote add bare ../bare && echo two >two && git add two &&
    git commit -qm two && git push -q bare main'
cd ../three || exit 1
ok 'pull' git pull -q --ff-only ../bare main
is '... brings it' "$(cat two)" two
is 'fsck of all' "$(for r in one two three bare; do (cd "../$r" && sound); done)" ''

# Refs are updated by lock files: of eight that commit at once, each wins or is refused.
cd ../one || exit 1
before=$(git rev-list --count main) pids=() won=0
tree=$(git write-tree)
commit_once()
{
    local parent commit
    parent=$(git rev-parse main) && commit=$(git commit-tree -p "$parent" -m "$1" "$tree") &&
        git update-ref refs/heads/main "$commit" "$parent" 2>/dev/null
}
for i in {1..8}; do
    commit_once "race $i" &
    pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" && won=$((won + 1)); done
is 'of eight who move a branch at once, nobody is overwritten' \
    "$(git rev-list --count main)" $((before + won))
is '... and at least one moves it' "$((won > 0))" 1
is '... no lock file stays' "$(find .git -name '*.lock')" ''

# -- make --

mkdir ../make && cd ../make || exit 1
cat >Makefile <<'END'
CFLAGS = -O0
prog: main.o part.o
	$(CC) -o $@ $^
main.o part.o: part.h
END
echo 'int part(void);' >part.h
printf '#include "part.h"\nint part(void) { return 41; }\n' >part.c
printf '#include <stdio.h>\n#include "part.h"\nint main(void) { printf("%%d\\n", part() + 1); }\n' \
    >main.c

# built: what make builds now, by name.
built()
{
    make 2>&1 | grep -oE '(-o |warning|rror).*' | sed -E 's/^-o (\S+) .*/\1/' | sort | paste -sd' '
}
is 'make builds all' "$(built)" 'main.o part.o prog'
is '... which runs' "$(./prog)" 42
is '... and then nothing' "$(built)" ''
sed -i s/41/42/ part.c
is 'a changed source: its object and the program' "$(built)" 'part.o prog'
is '... which is new' "$(./prog)" 43
touch part.h
is 'a touched header: all that use it' "$(built)" 'main.o part.o prog'
put g/make/part.c 'int part(void) { return 6; }' >/dev/null
is 'a source that came over HTTP' "$(built) $(./prog)" 'part.o prog 7'
is '... once' "$(built)" ''
rm main.o
is 'an object that is missing' "$(built)" 'main.o prog'
ok 'make -j' sh -c 'make -s clean 2>/dev/null; rm -f *.o prog; make -sj4 && [ "$(./prog)" = 7 ]'
ok 'an archive' sh -c 'ar rcs part.a part.o && cc -o linked main.o part.a && [ "$(./linked)" = 7 ]'

cd "$work" || exit 1
stop_daemon
finish
