#!/usr/bin/env bash
# nginx in front of the server, by the configuration that users get.
PATH=$PATH:/usr/sbin
command -v nginx >/dev/null && command -v curl >/dev/null || exit 77
# shellcheck source-path=SCRIPTDIR source=expect.sh
. ./expect.sh
# shellcheck source-path=SCRIPTDIR source=proxy.sh
. ./proxy.sh
nginx -v 2>&1 | sed 's/nginx version: //'

for upstream in "$backend" "unix:$PROXIED_SOCKET"; do
    port=$(free_port)
    sed "s#server 127\.0\.0\.1:8080;#server $upstream;#; s#listen 80;#listen 127.0.0.1:$port;#; s#127\.0\.0\.1:9444#$admin#" \
        ../../packaging/proxies/nginx.conf >"$SCRATCH/host.conf"
    # The workers of root would be another user, who may not enter the folder of the socket.
    cat >"$SCRATCH/nginx.conf" <<END
$([ "$(id -u)" != 0 ] || echo 'user root;')
daemon off;
worker_processes 2;
pid $SCRATCH/pid;
error_log $SCRATCH/errors warn;
events {}
http {
    access_log off;
    client_body_temp_path $SCRATCH/body;
    proxy_temp_path $SCRATCH/proxy;
    fastcgi_temp_path $SCRATCH/fastcgi;
    uwsgi_temp_path $SCRATCH/uwsgi;
    scgi_temp_path $SCRATCH/scgi;
    include $SCRATCH/host.conf;
}
END
    nginx -c "$SCRATCH/nginx.conf" -p "$SCRATCH" >"$SCRATCH/log" 2>&1 &
    nginx=$!
    trap 'kill "$nginx"; wait "$nginx"' EXIT
    until_answers "http://127.0.0.1:$port/" 200
    check "$upstream" "http://127.0.0.1:$port"
    equal "$upstream: /readyz" "$(ask "http://127.0.0.1:$port/readyz")" ready
    # A body that is buffered in a file is worth a warning for nginx, and none for this test.
    equal "$upstream: errors" "$(grep -v 'is buffered to a temporary file' "$SCRATCH/errors")" ''
    kill "$nginx"
    wait "$nginx"
    trap - EXIT
done
exit "$failed"
