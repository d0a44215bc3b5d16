#!/usr/bin/env bash
# timeout: 180
# The web page at /, in headless Chromium: what is done in the mount shows in the page, what
# is done in the page is in the mount, by mouse, by keyboard alone and on a phone. Nothing on
# it is asked of anybody but the daemon, and nothing breaks its Content-Security-Policy.
. "$(dirname "$0")/../lib/functions.sh"
. "$root/tests/lib/browser.sh"

need_browser

# -- What is asked of the page ---------------------------------------------------------

# shows NAME EXPRESSION: one case: it becomes true in the page.
shows()
{
    ok "$1" page until "$2"
}

# visit PATH: the page of a key, and that it shows it.
visit()
{
    page open "$url/#/$1" >/dev/null &&
        page until "document.querySelector('h1')?.textContent.endsWith('${1##*/}') &&
            document.querySelector('.meta div')" >/dev/null
}

# Expressions.
item() { printf "document.querySelector('[role=treeitem][aria-label=\"%s\"]')" "$1"; }
said() { printf "[...document.querySelectorAll('.toast')].some((toast) => toast.textContent.includes('%s'))" "$1"; }
value_is() { printf "document.querySelector('pre.value')?.textContent === '%s'" "$1"; }
no_dialog="!document.querySelector('dialog')"
dialog="document.querySelector('dialog[open]')"
editing="document.activeElement?.tagName === 'TEXTAREA'"

need_daemon
start_browser
page size 1280 800 >/dev/null

# -- What others do shows --------------------------------------------------------------

page open "$url/" >/dev/null
shows 'an empty store teaches how to fill it' \
    "document.querySelector('.lesson')?.textContent.includes('echo hi > $mnt/hello')"
shows 'it says that it is live' \
    "document.querySelector('#status').dataset.state === 'live'"
echo hello >"$mnt/greeting"
shows 'a key made with echo appears in the tree' "$(item greeting)"
shows '... and the lesson goes' "!document.querySelector('.lesson').checkVisibility()"
shows '... and is told as a change' \
    "document.querySelector('.changes li')?.textContent.includes('greeting')"
put 'app/db/host' db1 >/dev/null
shows 'a directory made over HTTP appears' "$(item app)"
is '... closed' "$(page eval "$(item app).getAttribute('aria-expanded')")" false
mv "$mnt/greeting" "$mnt/salute"
shows 'a key renamed with mv moves' "$(item salute) && !$(item greeting)"
rm "$mnt/salute"
shows 'a key removed with rm goes' "!$(item salute)"

visit app/db/host
shows 'a link to a key opens the directories on the way' "$(item host)"
shows 'it shows the value' "$(value_is db1)"
printf db2 >"$mnt/app/db/host"
shows 'a value written in the mount replaces the one shown' "$(value_is db2)"

# -- What the page does is in the mount ------------------------------------------------

# edit TEXT: the key that is shown, up to what is to be saved.
edit()
{
    page press e >/dev/null && page until "$editing" >/dev/null &&
        page press Ctrl+a >/dev/null && page type "$1" >/dev/null
}

edit db3
page press Ctrl+s >/dev/null
shows 'a value edited in the page is saved' "$(value_is db3)"
is '... and cat shows it' "$(cat "$mnt/app/db/host")" db3
page click .toast:last-child button >/dev/null
shows '... and Undo brings back what was there' "$(value_is db2)"
is '... for cat as well' "$(cat "$mnt/app/db/host")" db2

http PUT /v1/keys/app/typed?ttl=1h -H 'Content-Type: application/json' \
    --data-binary '{"a":12345678901234567890}' >/dev/null
visit app/typed
shows 'JSON is laid out, and no digit of it is lost' \
    "document.querySelector('pre.value').textContent === '{\\n  \"a\": 12345678901234567890\\n}'"
edit '[1]'
page press Ctrl+Enter >/dev/null
shows 'a value is saved with its own media type' "$(said Saved)"
is '... kept' "$(key_header app/typed content-type)" application/json
like '... and its time to live' "$(key_header app/typed x-kv-expires)" ^20

printf 'one\r\ntwo\r\n' | http PUT /v1/keys/crlf --data-binary @- >/dev/null
visit crlf
edit ''
page press Ctrl+Home >/dev/null
page eval "document.activeElement.value = 'one\\nthree\\n'" >/dev/null
page press Ctrl+s >/dev/null
shows 'a text of another system is edited' "!document.querySelector('textarea')"
is '... and keeps its line ends' "$(xxd -p "$mnt/crlf")" 6f6e650d0a74687265650d0a

printf '\x00\xff\xfe\r\n' >"$mnt/binary"
visit binary
shows 'a binary value is shown in hexadecimal' \
    "document.querySelector('pre.hex')?.textContent.startsWith('00000000  00 ff fe 0d 0a')"
edit '00 ff fe 0d 0a 7'
page press Ctrl+s >/dev/null
shows 'half a byte is not saved' "$(said 'two hexadecimal digits')"
page type f >/dev/null
page press Ctrl+s >/dev/null
shows '... a whole one is' "!document.querySelector('textarea')"
is '... and the bytes are exact' "$(xxd -p "$mnt/binary")" 00fffe0d0a7f

head -c 3000000 /dev/zero >"$mnt/large"
visit large
shows 'of a large value the beginning is shown' \
    "document.querySelector('.notice')?.textContent.includes('64 KiB of 2.9 MiB')"
is '... and it is not edited here' \
    "$(page eval "document.querySelector('.head button.main').disabled")" true

# -- Conflicts -------------------------------------------------------------------------

visit app/db/host
edit mine
printf theirs >"$mnt/app/db/host"
shows 'the editor tells that somebody else wrote the key' \
    "document.querySelector('.editor .notice')?.textContent.includes('It was written')"
is '... and keeps what was typed' "$(page eval "document.querySelector('textarea').value")" mine
page press Ctrl+s >/dev/null
shows 'saving shows both' "$dialog?.textContent.includes('theirs') && $dialog.textContent.includes('mine')"
is '... and has saved nothing' "$(cat "$mnt/app/db/host")" theirs
page click 'dialog button[value=back]' >/dev/null
shows 'one may go on editing' "$no_dialog && document.querySelector('textarea').value === 'mine'"
page press Ctrl+s >/dev/null
page click 'dialog button[value=mine]' >/dev/null
shows '... and save over it' "$(value_is mine)"
is '... on purpose' "$(cat "$mnt/app/db/host")" mine
edit 'mine again'
rm "$mnt/app/db/host"
page press Ctrl+s >/dev/null
shows 'a key that was deleted meanwhile is told as such' "$dialog?.textContent.includes('It was deleted')"
page click 'dialog button[value=theirs]' >/dev/null
shows '... and stays deleted' "document.querySelector('.body').textContent.includes('nothing at this path')"
page click '.versions button' >/dev/null
shows 'its history brings it back' "$(value_is mine)"

# -- Create, rename, delete ------------------------------------------------------------

# fill TEXT VALUE: in the dialog that is open, instead of what its first field holds.
fill()
{
    page until "$dialog" >/dev/null && page press Ctrl+a >/dev/null &&
        page type "$1" >/dev/null && page click "dialog button[value=$2]" >/dev/null
}

page click '#new' >/dev/null
fill 'odd/<b>name & "more"' make
shows 'a key is made' "$no_dialog &&
    document.querySelector('h1').textContent.endsWith('<b>name & \"more\"')"
ok '... and is in the mount' test -e "$mnt/odd/<b>name & \"more\""
page click '#new' >/dev/null
fill crlf make
shows 'one that is there is not made again' \
    "document.querySelector('dialog .problem').textContent.includes('already')"
page press Escape >/dev/null
shows '... and Escape leaves it' "$no_dialog"
page press r >/dev/null
fill crlf move
shows 'a key is not renamed over another' \
    "document.querySelector('dialog .problem').textContent.includes('already')"
page press Ctrl+a >/dev/null
fill moved/here move
shows 'a key is renamed' "$no_dialog && document.querySelector('h1').textContent.endsWith('here')"
ok '... in the mount as well' test -e "$mnt/moved/here"

chmod 600 "$mnt/crlf"
setfattr -n user.kind -v test "$mnt/crlf"
visit crlf
page press Delete >/dev/null
shows 'a key is deleted' "$(said 'Deleted crlf')"
fails '... in the mount as well' 'No such file' cat "$mnt/crlf"
page click .toast:last-child button >/dev/null
shows 'Undo brings it back' "$(said 'Restored crlf')"
is '... its bytes' "$(xxd -p "$mnt/crlf")" 6f6e650d0a74687265650d0a
is '... its mode and attributes' \
    "$(stat -c %a "$mnt/crlf") $(getfattr --only-values -n user.kind "$mnt/crlf")" '600 test'

mkdir -p "$mnt/tree/deep/empty"
echo leaf >"$mnt/tree/deep/leaf"
visit tree
page press Delete >/dev/null
shows 'a directory is deleted only when that is wanted' \
    "$dialog?.textContent.includes('3 entries')"
page click 'dialog button.danger' >/dev/null
shows '... then with all below it' "$(said 'Deleted tree/')"
ok '... in the mount as well' test ! -e "$mnt/tree"
page click .toast:last-child button >/dev/null
shows 'Undo brings all of it back' "$(said 'Restored tree')"
is '... as it was' "$(cd "$mnt" && find tree | sort | tr '\n' ' ')$(cat "$mnt/tree/deep/leaf")" \
    'tree tree/deep tree/deep/empty tree/deep/leaf leaf'

# -- Names of any bytes, and many of them ----------------------------------------------

name=$(printf 'bad\xff\xe2\x80\xaename')
printf odd >"$mnt/$name"
shows 'a name that is not UTF-8, or turns text round, is shown as what it is' \
    "$(item 'bad\\\\xff\\\\u{202e}name')"
page click "[role=treeitem][aria-label^=bad] .name" >/dev/null
shows '... and its value' "$(value_is odd)"
edit even
page press Ctrl+s >/dev/null
shows '... which is edited' "$(value_is even)"
is '... under that name' "$(cat "$mnt/$name")" even

mkdir "$mnt/$(printf 'dir\xff')"
echo in >"$mnt/$(printf 'dir\xff')/inside"
page click "[role=treeitem][aria-label^=dir] .name" >/dev/null
shows 'a directory with such a name is opened' "$(item inside)"

python3 -c 'for i in range(100000): print("{\"key\":\"many/%06d\",\"value\":\"\"}" % i)' |
    http POST /v1/import --data-binary @- >/dev/null
page click '[role=treeitem][aria-label=many] .name' >/dev/null
shows 'a directory of 100,000 keys opens with the first of them' "$(item 000199) && !$(item 002000)"
page eval "document.querySelector('.more').scrollIntoView()" >/dev/null
shows '... and goes on when one gets there' "$(item 000399) && !$(item 004000)"

page press / >/dev/null
page type 19876 >/dev/null
shows 'the search finds a part of a name among them' \
    "document.querySelector('#found button')?.textContent === 'many/019876'"
page press Escape >/dev/null
shows '... and gives the tree back' "$(item 000000)?.checkVisibility()"
delete many recursive=1 >/dev/null

# -- By keyboard alone -----------------------------------------------------------------

# The label of what has the focus.
focused="(document.activeElement.ariaLabel ?? document.activeElement.textContent)"

page open "$url/" >/dev/null
page until "$(item app) && $(item tree)" >/dev/null
page press t Home >/dev/null
is 'the tree is reached by a key' "$(page eval "$focused")" app
page press ArrowRight >/dev/null
page until "$(item db)" >/dev/null
page press ArrowDown >/dev/null
is 'the arrows go into a directory' "$(page eval "$focused")" db
page press ArrowLeft ArrowLeft >/dev/null
is '... out of it, closing it' \
    "$(page eval "$focused") $(page eval "$(item app).getAttribute('aria-expanded')")" 'app false'
is 'one row can be reached with Tab' \
    "$(page eval "document.querySelectorAll('[role=treeitem][tabindex=\"0\"]').length")" 1
page press End Enter >/dev/null
shows 'Enter shows what has the focus' "document.querySelector('h1').textContent.endsWith('tree')"
page press n >/dev/null
fill tree/typed make
shows 'a key is made where one is' "document.querySelector('h1').textContent.endsWith('tree/typed')"
page until "document.querySelector('.meta div') && $focused === 'typed'" >/dev/null
edit 'by hand'
page press Ctrl+s >/dev/null
shows '... and written' "$(value_is 'by hand')"
is '... for cat' "$(cat "$mnt/tree/typed")" 'by hand'
page press '?' >/dev/null
shows 'a key explains the keys' "$dialog?.querySelectorAll('kbd').length > 10"
page press Escape >/dev/null
page until "$no_dialog" >/dev/null
edit unsaved
page press Escape >/dev/null
shows 'what was typed is not lost to Escape' "$dialog?.textContent.includes('would be lost')"
page press Escape >/dev/null
shows '... unless that is wanted' "$no_dialog && document.querySelector('textarea').value === 'unsaved'"
page press Ctrl+s >/dev/null
page until "$(value_is unsaved)" >/dev/null

# -- Who sees it with what -------------------------------------------------------------

# Everything that can be operated has a name, and no two elements share an id.
nameless="[...document.querySelectorAll('button, input, textarea, a, [role=treeitem], dialog')]
    .filter((e) => e.checkVisibility() && !(e.ariaLabel || e.title || e.textContent.trim()
        || e.labels?.length)).map((e) => e.outerHTML).join(' ')"
twice="[...document.querySelectorAll('[id]')].map((e) => e.id)
    .filter((id, i, all) => all.indexOf(id) !== i).join(' ')"
wide="Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) - innerWidth"

# fits WHAT
fits()
{
    is "$1: no horizontal scrolling" "$(page eval "$wide")" 0
    is "$1: whatever can be operated has a name" "$(page eval "$nameless")" ''
    is "$1: every id once" "$(page eval "$twice")" ''
}

fits 'a wide window'
page size 390 844 mobile >/dev/null
visit app/typed
fits 'a phone, a value'
is 'a phone shows one half' "$(page eval "$(item tree)?.checkVisibility() ?? false")" false
visit binary
page click '#tab-history' >/dev/null
page until "document.querySelector('.versions li')" >/dev/null
fits 'a phone, a history'
page click .back >/dev/null
shows '... and the other after "back"' "$(item tree)?.checkVisibility()"
fits 'a phone, the tree'
page click '#nav-live' >/dev/null
shows 'the charts are drawn' "document.querySelectorAll('.chart').length === 6 &&
    document.querySelector('.line').getAttribute('d').includes('L')"
fits 'a phone, the charts'
page size 1280 800 >/dev/null

# The contrast of texts (WCAG 2.2 section 1.4.3), in both schemes, of each pair in use.
contrast="(() => {
    const luminance = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255)
        .map((c) => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
    const ground = (e) => { for (; e; e = e.parentElement) {
        const colour = getComputedStyle(e).backgroundColor;
        if (!/, 0\\)\$|^transparent/.test(colour)) return colour; } return 'rgb(255, 255, 255)'; };
    const poor = [...document.querySelectorAll('body *')].filter((e) => e.checkVisibility()
        && !e.disabled && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
        .filter((e) => { const [a, b] = [luminance(getComputedStyle(e).color),
            luminance(ground(e))].sort((x, y) => y - x); return (a + .05) / (b + .05) < 4.5; });
    return poor.map((e) => e.className + ' ' + e.textContent.slice(0, 20)).join(' | ');
})()"
for scheme in light dark; do
    page scheme "$scheme" >/dev/null
    is "every text can be read in $scheme colours" "$(page eval "$contrast")" ''
done

# -- The daemon goes and comes back ----------------------------------------------------

visit app/db/host
end_daemon TERM
shows 'a daemon that is gone is told' "document.querySelector('#status').dataset.state === 'away'"
need_daemon --listen "127.0.0.1:$port"
printf again >"$mnt/app/db/host"
shows '... and what it missed comes with it' \
    "document.querySelector('#status').dataset.state === 'live' && $(value_is again)"

# -- Tokens ----------------------------------------------------------------------------

token=$("$kv" --socket "$sock" token create reader r:app)
shows 'a token is asked for as soon as the daemon does' \
    "$dialog?.querySelector('input[type=password]')"
page type wrong >/dev/null
page press Enter >/dev/null
shows '... again when it is wrong' "$dialog?.querySelector('input[type=password]').value === ''"
page type "$token" >/dev/null
page press Enter >/dev/null
shows 'with one the page shows what it grants' \
    "$no_dialog && document.querySelector('#status').dataset.state === 'live' && $(item app) && !$(item tree)"
printf granted >"$mnt/app/db/host"
shows '... and its changes' "$(value_is granted)"
edit refused
page press Ctrl+s >/dev/null
shows 'what it does not grant is told' \
    "document.querySelector('.toast.problem') && document.querySelector('textarea').value === 'refused'"
page press Escape >/dev/null
page click 'dialog button.danger' >/dev/null
is 'the token is in this tab alone' \
    "$(page eval "[sessionStorage.length, location.href.includes('$token'), document.cookie].join()")" \
    '1,false,'

# -- What it must not do ---------------------------------------------------------------

is 'no error, no request to others, nothing refused by its policy' "$(page complaints)" none
http GET / -H 'Accept: text/html' >/dev/null
like 'the policy allows no script or style in the page' "$(header content-security-policy)" \
    "default-src 'none'; script-src 'self'; style-src 'self';"
like '... and there is none' "$(body | grep -cE '<style|style=|<script>| on[a-z]+=')" ^0
http GET / >/dev/null
like 'whoever asks for no HTML gets the routes' "$(body)" '/v1/keys/KEY'

end_browser
stop_daemon
finish
