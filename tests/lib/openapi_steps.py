"""The requests of openapi.py: what its examples need, and one request for whatever else the
document says may be answered.

A new route wants its example in the document, what that needs in EXAMPLES, and a step for
each status of its own."""

import json
import os

# Statuses of a daemon that is full, failing or overrun, or that speaks TLS; trouble, limits
# and tls of tests/integration see to them.
UNSEEN = {'500', '501', '503', '507', 'default'}
# So much is one too many.
TREE_MAX = 100_000
OPERATIONS_MAX = 10_000
FAILURES = 30  # more than are forgiven meanwhile
VALUE_MAX = 1 << 20  # openapi.sh starts the daemon with it


def put(key, value=b'1', **headers):
    return {'method': 'PUT', 'target': f'/v1/keys/{key}', 'headers': headers, 'body': value}


def ask(method, target, body=None, local=False, **headers):
    return {'method': method, 'target': target, 'headers': headers, 'body': body,
            'local': local}


def kvapp_token(answers):
    """The headers with the token that the last answer tells."""
    return {'x-access-tokens': json.loads(answers[-1][2])['token']}


def mounting(mountpoint):
    return {'local': True, 'instead': {'/srv/app': mountpoint}}


SOCKET_IO = '/socket.io/?EIO=4&transport=polling'

# operationId -> before: requests that come first; instead: replacements in target and
# body, or what makes them of the answers to those; headers: what makes more of them of the
# answers; local: over the Unix socket; stream: the answer has no end, so read up to this;
# later: after the steps, because nothing is as before then.
EXAMPLES = {
    'getKey': {'before': [put('app/host')]},
    'headKey': {'before': [put('app/host')]},
    'deleteKey': {'before': [put('app/host')]},
    'watch': {'stream': b'\n\n'},
    'listMounts': {'local': True},
    'headMounts': {'local': True},
    'kvAppInsert': {'before': [ask('GET', '/api/auth')], 'headers': kvapp_token},
    'kvAppSearch': {'before': [put('app/host'), ask('GET', '/api/auth')],
                    'headers': kvapp_token},
    'listTokens': {'local': True},
    'headTokens': {'local': True},
    'createToken': {'local': True, 'later': True},
    'revokeToken': {'local': True, 'later': True},
    'reforgGet': {'before': [put('app/host')]},
    'keyValueStoreGet': {'before': [put('app/host')]},
    'kvStoreGet': {'before': [put('app/host')]},
    'kvStoreSubscribe': {'before': [put('app/host')]},
    'kvShellGet': {'before': [put('app/host')]},
    'socketIoSend': {'before': [ask('GET', SOCKET_IO)],
                     'instead': lambda answers: {'SID': json.loads(answers[0][2][1:])['sid']}},
    # That file is only there when the browser was fetched.
    'docsFile': {'instead': {'start.js': ''}},
    'headDocsFile': {'instead': {'start.js': ''}},
}


def prepare(mountpoint):
    os.mkdir(mountpoint)
    EXAMPLES['mount'] = {'before': [put('app/host')], **mounting(mountpoint)}
    EXAMPLES['unmount'] = mounting(mountpoint)


def step(status, name, method, target, body=None, **more):
    return {'status': status, 'name': name, 'method': method, 'target': target,
            'body': body, **more}


def reading():
    yield step(200, 'a key as JSON', 'GET', '/v1/keys/s/k',
               headers={'Accept': 'application/json'})
    yield step(200, 'a directory as JSON', 'GET', '/v1/keys/s',
               headers={'Accept': 'application/json'})
    yield step(200, 'a key with a time to live', 'GET', '/v1/keys/s/short')
    yield step(200, 'the same as JSON', 'GET', '/v1/keys/s/short',
               headers={'Accept': 'application/json'})
    yield step(200, 'a key with a media type and bytes', 'GET', '/v1/keys/s/bytes',
               headers={'Accept': 'application/json'})
    yield step(200, 'the headers of a key with a time to live', 'HEAD', '/v1/keys/s/short')
    for method in ('GET', 'HEAD'):
        yield step(304, f'{method} of a version that the client has', method,
                   '/v1/keys/s/k', headers={'If-None-Match': '*'})
    yield step(304, 'a long poll that ends', 'GET', '/v1/keys/s/k?wait=10ms')
    yield step(304, 'a long poll of an absent key', 'GET', '/v1/keys/absent?wait=10ms')
    yield step(200, 'a long poll that has something', 'GET', '/v1/keys/s/k?wait=10s&since=0')
    yield step(206, 'a range', 'GET', '/v1/keys/s/k', headers={'Range': 'bytes=0-0'})
    yield step(416, 'a range outside', 'GET', '/v1/keys/s/k',
               headers={'Range': 'bytes=9-'}, valid=True)
    yield step(400, 'GET of no key', 'GET', '/v1/keys/a//b')
    yield step(404, 'GET of an absent key', 'GET', '/v1/keys/absent')
    yield step(404, 'HEAD of an absent key', 'HEAD', '/v1/keys/absent')
    yield step(409, 'GET of a directory', 'GET', '/v1/keys/s')
    yield step(412, 'GET of another version', 'GET', '/v1/keys/s/k',
               headers={'If-Match': '"0"'}, valid=True)
    yield step(400, 'a parameter that is none', 'GET', '/v1/keys/s/k?none=1')


def writing():
    yield step(201, 'PUT of a new key', 'PUT', '/v1/keys/s/new?ttl=1h', b'1')
    yield step(200, 'PUT over it', 'PUT', '/v1/keys/s/new', b'2')
    yield step(400, 'PUT of no key', 'PUT', '/v1/keys/a//b', b'1')
    yield step(409, 'PUT over a directory', 'PUT', '/v1/keys/s', b'1')
    yield step(412, 'PUT under a condition', 'PUT', '/v1/keys/s/k', b'1',
               headers={'If-None-Match': '*'}, valid=True)
    yield step(413, 'PUT of too much', 'PUT', '/v1/keys/s/k', b'1' * (VALUE_MAX + 1))
    yield step(201, 'append to a new key', 'POST', '/v1/keys/s/log?op=append', b'1')
    yield step(200, 'append', 'POST', '/v1/keys/s/log?op=append&ttl=1h', b'1')
    yield step(200, 'count', 'POST', '/v1/keys/s/log?op=incr&by=-2')
    yield step(200, 'rename', 'POST', '/v1/keys/s/log?op=rename&to=s/moved')
    yield step(400, 'another op', 'POST', '/v1/keys/s/k?op=none')
    yield step(404, 'rename of an absent key', 'POST', '/v1/keys/absent?op=rename&to=s/m')
    yield step(409, 'count in what is no number', 'POST', '/v1/keys/s/bytes?op=incr')
    yield step(412, 'append under a condition', 'POST', '/v1/keys/s/k?op=append', b'1',
               headers={'If-Match': '"0"'}, valid=True)
    yield step(413, 'append of too much', 'POST', '/v1/keys/s/k?op=append',
               b'1' * VALUE_MAX)


def deleting():
    yield step(400, 'DELETE of no key', 'DELETE', '/v1/keys/a//b')
    yield step(404, 'DELETE of an absent key', 'DELETE', '/v1/keys/absent')
    yield step(409, 'DELETE of a directory', 'DELETE', '/v1/keys/s')
    yield step(412, 'DELETE under a condition', 'DELETE', '/v1/keys/s/k',
               headers={'If-Match': '"0"'}, valid=True)
    yield step(204, 'DELETE of a directory with all that is in it', 'DELETE',
               '/v1/keys/s/sub?recursive=1')
    yield step(200, 'many keys', 'POST', '/v1/import', b''.join(
        b'{"key":"many/%d","value":""}\n' % number for number in range(TREE_MAX)))
    yield step(413, 'DELETE of too many keys', 'DELETE', '/v1/keys/many?recursive=1')
    yield kvapp(413, 'search among too many keys', 'GET', '/api/search', {'prefix': 'x'})


def listing():
    yield step(200, 'a list with values and directories', 'GET',
               '/v1/keys?dir=s&values=1&delimiter=/')
    yield step(200, 'a page of a list', 'GET', '/v1/keys?prefix=s/&limit=1&after=s/b')
    yield step(400, 'a list of too many', 'GET', '/v1/keys?limit=0')
    yield step(404, 'a list of an absent directory', 'GET', '/v1/keys?dir=absent')
    yield step(409, 'a list of a key', 'GET', '/v1/keys?dir=s/k')


def transaction(*then, compare=()):
    return json.dumps({'compare': list(compare), 'then': list(then)}).encode()


def changing():
    yield step(200, 'a transaction of every kind', 'POST', '/v1/txn', transaction(
        {'op': 'put', 'key': 't/a', 'value': 'AA==', 'encoding': 'base64', 'ttl': '1h',
         'content_type': 'text/plain'},
        {'op': 'append', 'key': 't/b', 'value': '1', 'if_absent': True},
        {'op': 'incr', 'key': 't/b', 'by': '-1', 'if_present': True},
        {'op': 'expire', 'key': 't/a'},
        {'op': 'rename', 'key': 't/b', 'to': 't/c', 'no_replace': True},
        {'op': 'delete', 'key': 't/b', 'missing_ok': True},
        {'op': 'mkdir', 'key': 't/d', 'exist_ok': True},
        {'op': 'rmdir', 'key': 't/d'},
        {'op': 'get', 'key': 't/a'},
        {'op': 'get', 'key': 't'},
        {'op': 'get', 'key': 't/absent'},
        {'op': 'delete', 'key': 't', 'recursive': True},
        compare=[{'key': 't/a', 'is': '=', 'version': 0},
                 {'key': 't/a', 'is': '<', 'mod_revision': '5'},
                 {'key': 't/a', 'create_revision': 0},
                 {'key': 't/a', 'exists': False},
                 {'key': 't/a', 'is': '!=', 'value': 'x'}]))
    yield step(400, 'a transaction that is none', 'POST', '/v1/txn', b'{"none":1}')
    yield step(404, 'a transaction about an absent key', 'POST', '/v1/txn',
               transaction({'op': 'delete', 'key': 'absent'}), valid=True)
    yield step(409, 'a transaction over a directory', 'POST', '/v1/txn',
               transaction({'op': 'put', 'key': 's', 'value': ''}), valid=True)
    yield step(413, 'a transaction of too many operations', 'POST', '/v1/txn',
               transaction(*[{'op': 'get', 'key': 'k'}] * (OPERATIONS_MAX + 1)))


def websocket(version):
    return {'Connection': 'Upgrade', 'Upgrade': 'websocket', 'Sec-WebSocket-Version': version,
            'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ=='}


def watching():
    yield step(101, 'a WebSocket', 'GET', '/v1/watch?key=s/k', headers=websocket('13'))
    yield step(426, 'a WebSocket of another kind', 'GET', '/v1/watch',
               headers=websocket('8'), valid=True)
    yield step(200, 'events of every kind', 'GET', '/v1/watch?since=0&prev=1',
               stream=b'"key":"s/sub/k","revision"')
    yield step(200, 'events of a key', 'GET', '/v1/watch?key=s/k&values=0',
               headers={'Last-Event-ID': '1.0'}, stream=b'\n\n')
    yield step(400, 'a watch of nothing', 'GET', '/v1/watch?key=a&dir=b')
    yield step(200, 'a page of a history', 'GET', '/v1/history?key=s/new&limit=1')
    yield step(200, 'an earlier one', 'GET', '/v1/history?key=s/new&before=9.9&values=0')
    yield step(400, 'a history of nothing', 'GET', '/v1/history')


def compacted():
    yield step(410, 'a watch of what the log has lost', 'GET', '/v1/watch?since=1', valid=True)


def transferring():
    yield step(200, 'an export of a directory', 'GET', '/v1/export?dir=s')
    yield step(400, 'an export of no key', 'GET', '/v1/export?dir=a//b')
    yield step(404, 'an export of an absent directory', 'GET', '/v1/export?dir=absent')
    yield step(409, 'an export of a key', 'GET', '/v1/export?dir=s/k')
    yield step(200, 'an import that goes on', 'POST', '/v1/import?skip=1',
               b'no line\n{"key":"i","value":""}\n')
    yield step(400, 'an import of a wrong line', 'POST', '/v1/import', b'no line\n')
    yield step(409, 'an import below a key', 'POST', '/v1/import',
               b'{"key":"s/k/below","value":""}\n')
    yield step(413, 'an import of a long line', 'POST', '/v1/import',
               b'{"key":"i","value":"' + b'1' * 4 * VALUE_MAX + b'"}\n')


def mounting_steps(mountpoint):
    full = os.path.dirname(mountpoint)
    other = 'mnt:[1]'
    for method in ('GET', 'HEAD', 'POST'):
        yield step(403, f'{method} of mounts over TCP', method, '/v1/mounts', valid=True)
    yield step(403, 'unmounting over TCP', 'DELETE', '/v1/mounts?dir=/srv', valid=True)
    for status, name, body in (
            (400, 'mounting nothing', {}),
            (404, 'mounting nowhere', {'dir': mountpoint + '/absent'}),
            (409, 'mounting on a directory that is full', {'dir': full}),
            (409, 'mounting for others', {'dir': mountpoint, 'namespace': other})):
        yield step(status, name, 'POST', '/v1/mounts', json.dumps(body).encode(),
                   local=True)
    yield step(400, 'unmounting nothing', 'DELETE', '/v1/mounts', local=True)
    yield step(404, 'unmounting what is not mounted', 'DELETE',
               f'/v1/mounts?dir={mountpoint}&lazy=1', local=True)
    yield step(409, 'unmounting for others', 'DELETE',
               f'/v1/mounts?dir={mountpoint}&namespace={other}', local=True)


def tokens():
    for method in ('GET', 'HEAD', 'POST'):
        yield step(403, f'{method} of tokens over TCP', method, '/v1/tokens', valid=True)
    yield step(403, 'revoking over TCP', 'DELETE', '/v1/tokens/deploy', valid=True)
    yield step(400, 'a token without a name', 'POST', '/v1/tokens', b'{}', local=True)
    yield step(404, 'revoking what is none', 'DELETE', '/v1/tokens/absent', local=True)


def later_steps():
    """From here on tokens are asked for."""
    yield step(401, 'no token', 'GET', '/v1/keys/s/k', valid=True)
    yield step(401, 'a token that was revoked', 'GET', '/v1/status',
               headers={'Authorization': 'Bearer kv_0_0'}, valid=True)
    yield step(201, 'a token for everything', 'POST', '/v1/tokens',
               b'{"name":"all","admin":true}', local=True)
    yield step(200, 'all tokens', 'GET', '/v1/tokens', local=True)
    yield from kvapp_later_steps()


def serving():
    for method in ('GET', 'HEAD'):
        for path in ('/openapi.json', '/docs', '/docs/', '/', '/ui/main.js'):
            yield step(304, f'{method} {path} that the client has', method, path,
                       headers={'If-None-Match': '*', 'Accept': 'text/html'})
    yield step(200, 'the web page', 'GET', '/', headers={'Accept': 'text/html'})
    yield step(404, 'a file that the documentation does not have', 'GET', '/docs/absent')
    yield step(404, 'a file that the web page does not have', 'GET', '/ui/absent')


def item(key, value='1'):
    return json.dumps({'key': key, 'value': value}).encode()


def dialects():
    yield step(400, 'reforg: GET of no key', 'GET', '/api/v1/keys?key=a//b')
    yield step(404, 'reforg: GET of an absent key', 'GET', '/api/v1/keys?key=absent')
    yield step(422, 'reforg: GET without a key', 'GET', '/api/v1/keys')
    yield step(400, 'reforg: PUT of no key', 'PUT', '/api/v1/keys?key=a//b&value=1')
    yield step(422, 'reforg: PUT without a value', 'PUT', '/api/v1/keys?key=a')
    yield step(400, 'key-value-store: GET of no key', 'GET', '/kv', item('a//b'))
    yield step(404, 'key-value-store: GET of an absent key', 'GET', '/kv', item('absent'))
    yield step(400, 'key-value-store: PUT of no key', 'PUT', '/kv', item('a//b'))
    yield step(400, 'Socket.IO without a session', 'GET', SOCKET_IO + '&sid=none')
    yield step(400, 'Socket.IO without one to send to', 'POST', SOCKET_IO + '&sid=none', b'40')
    yield step(404, 'KV-Store: GET of an absent key', 'GET', '/key/absent')
    yield step(400, 'KV-Store: GET of no key', 'GET', '/key/a//b')
    yield step(400, 'KV-Store: DELETE of no key', 'DELETE', '/key/a//b')
    yield step(200, 'KV-Store: POST over a key', 'POST', '/key/insert', item('s/k'))
    yield step(400, 'KV-Store: POST of no key', 'POST', '/key/insert', item('a//b'))
    yield step(201, 'KV-Store: PUT of a new key', 'PUT', '/key/insert', item('dialect/new'))
    yield step(200, 'KV-Store: subscribe', 'POST', '/subscribe/dialect/new')
    yield step(200, 'KV-Store: PUT over it', 'PUT', '/key/insert', item('dialect/new', '2'))
    yield step(200, 'KV-Store: subscribe to an absent key', 'POST', '/subscribe/absent')
    yield step(400, 'KV-Store: subscribe to no key', 'POST', '/subscribe/a//b')
    yield step(400, 'KV-Store: PUT of no key', 'PUT', '/key/insert', item('a//b'))
    yield step(200, 'KV Store: get without a key', 'GET', '/get')
    yield step(400, 'KV Store: get of no key', 'GET', '/get?key=a//b')
    yield step(200, 'KV Store: add without a value', 'POST', '/add?key=a')
    yield step(400, 'KV Store: add of no key', 'POST', '/add?key=a//b&value=1')


def kvapp(status, name, method, target, body, **more):
    return step(status, f'KVApp: {name}', method, target, json.dumps(body).encode(),
                **{'headers': kvapp_token, 'before': [ask('GET', '/api/auth')], **more})


def kvapp_steps():
    yield kvapp(200, 'search by a prefix', 'GET', '/api/search', {'prefix': 'app'})
    yield kvapp(204, 'search of an absent key', 'GET', '/api/search', {'key': 'absent'})
    yield kvapp(400, 'insert without a token', 'POST', '/api/insert', {}, headers={})
    yield kvapp(400, 'search without a token', 'GET', '/api/search', {}, headers={})


def limited_token(name):
    token = {'name': name, 'rights': [{'path': 'app', 'read': True}]}
    return ask('POST', '/v1/tokens', json.dumps(token).encode(), local=True)


def kvapp_later_steps():
    for method in ('GET', 'POST'):
        yield step(401, f'KVApp: {method} of a token without one', method, '/api/auth',
                   valid=True)
        yield step(403, f'KVApp: {method} of a token for the own user', method, '/api/auth',
                   local=True, valid=True)
    yield kvapp(403, 'insert of what is not granted', 'POST', '/api/insert',
                {'key': 's/k', 'value': '1'}, valid=True, before=[limited_token('one')])
    yield kvapp(403, 'search of what is not granted', 'GET', '/api/search', {'key': 's/k'},
                valid=True, before=[limited_token('another')])
    wrong = {'x-access-tokens': 'wrong'}
    often = [ask('GET', '/api/search', **wrong)] * FAILURES
    for method, target in (('POST', '/api/insert'), ('GET', '/api/search')):
        yield kvapp(429, f'{method} with wrong tokens, often', method, target, {},
                    headers=wrong, before=often)


def steps(mountpoint):
    """All of them, in an order in which each finds what it needs."""
    yield step(201, 'a key', 'PUT', '/v1/keys/s/k', b'1')
    yield step(201, 'one with a time to live', 'PUT', '/v1/keys/s/short?ttl=1h', b'1')
    yield step(201, 'one of bytes', 'PUT', '/v1/keys/s/bytes', b'\xff\x00',
               headers={'Content-Type': 'image/x-none'})
    yield step(201, 'one in a directory of its own', 'PUT', '/v1/keys/s/sub/k', b'1')
    yield from reading()
    yield from writing()
    yield from listing()
    yield from changing()
    yield from watching()
    yield from transferring()
    yield from dialects()
    yield from kvapp_steps()
    yield from mounting_steps(mountpoint)
    yield from tokens()
    yield from serving()
    yield from deleting()
    yield from compacted()
