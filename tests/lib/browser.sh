# A headless Chromium for the scripts that look at pages, after functions.sh:
#
#     need_browser
#     start_browser
#     page open "$url/docs" >/dev/null
#     is 'it has a title' "$(page eval document.title)" 'kvfs API'
#     end_browser
#
# The calls are those of browser.py.
# shellcheck shell=bash disable=SC2154 # $root and others are set in functions.sh

# Skip the script where there is none.
need_browser()
{
    command -v chromium >/dev/null || skip_all 'chromium is not installed'
    /usr/bin/python3 -c 'import websocket' 2>/dev/null ||
        skip_all 'python3-websocket is not installed'
}

start_browser()
{
    local line
    coproc BROWSER {
        BROWSER_DEADLINE=$deadline exec /usr/bin/python3 "$root/tests/lib/browser.py" \
            "$(command -v chromium)" "$work/profile" 2>"$work/browser.log"
    }
    started_pids+=("$BROWSER_PID")
    IFS= read -r -t $((deadline * 3)) -u "${BROWSER[0]}" line && [ "$line" = ok ] && return 0
    note "the browser did not start: $(cat "$work/browser.log")"
    echo 'Bail out! no browser'
    exit 1
}

# page CALL [ARGUMENT...]: prints the result; fails when it is an error. Lines of a long
# expression become one.
page()
{
    local line=''
    printf '%s\n' "${*//$'\n'/ }" >&"${BROWSER[1]}"
    IFS= read -r -t $((deadline * 3)) -u "${BROWSER[0]}" line || line='error: no answer'
    printf '%s\n' "$line"
    [[ $line != error:* ]]
}

end_browser()
{
    page close >/dev/null
    kill "$BROWSER_PID" 2>/dev/null
}
