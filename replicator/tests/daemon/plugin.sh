#!/bin/sh
# A plugin whose database is a word in a file. What it is asked to do is noted
# in the file "log"; it is born with its process id there.
dir=$(dirname "$0")
echo "born $$" >> "$dir/log"
[ ! -e "$dir/mute" ] || exec sleep 600
become() { echo "$1" > "$dir/server.new"; mv "$dir/server.new" "$dir/server"; }
while read -r line; do
    id=${line#*\"id\":}
    id=${id%%,*}
    method=${line#*\"method\":\"}
    method=${method%%\"*}
    case $line in *'"prepare":true'*) method=prepare ;; esac
    result='{}'
    case $method in
        describe) result='{"name":"scripted","version":"1","protocol":1,"database":"A word 1"}' ;;
        observe)
            read -r server < "$dir/server"
            result='{"server":"'$server'","healthy":true,"copy":"00000000000000aa","run":1,"synchronous":null,"position":null,"follower":null,"upstream":null,"streaming":false,"cancelled_waits":0,"detail":""}'
            ;;
        follow)
            become standby
            result='{"state":"following"}'
            ;;
        promote) become primary ;;
        prepare) result='{"clean":false}' ;;
        stop)
            become stopped
            result='{"clean":true}'
            ;;
        cancel) continue ;;
    esac
    [ "$method" = observe ] || echo "$method" >> "$dir/log"
    [ ! -e "$dir/garbage" ] || result='what?'
    echo '{"jsonrpc":"2.0","id":'"$id"',"result":'"$result"'}'
done
echo "orphaned $$" >> "$dir/log"
