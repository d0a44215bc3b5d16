#!/usr/bin/python3
"""The document at /openapi.json against the daemon that serves it.

usage: openapi.py URL SOCKET SCHEMA MOUNTPOINT

The document is checked against SCHEMA (that of OpenAPI 3.1), then each operation is asked
for what its examples say, and then for whatever else it documents (openapi_steps.py). Each
answer must have a status, headers, a media type and a content that the document gives
for it; in the end, every status that it gives must have been seen. Prints TAP lines; the
exit status is 1 when one failed."""

import http.client
import json
import re
import socket
import sys
import urllib.parse

import jsonschema

import openapi_steps

METHODS = ('get', 'head', 'put', 'post', 'delete')
# What the protocol has in any answer.
PLAIN_REQUEST_HEADERS = {'Accept', 'Authorization', 'Connection', 'Content-Type',
                         'Sec-WebSocket-Key', 'Sec-WebSocket-Version', 'Upgrade'}
PLAIN_HEADERS = {'connection', 'content-encoding', 'content-length', 'content-type', 'date',
                 'referrer-policy', 'transfer-encoding', 'vary', 'x-accel-buffering',
                 'x-content-type-options', 'cache-control', 'accept-ranges', 'upgrade'}
count = failed = 0


def ok(name, problems):
    """One case; problems is a text or a list, empty when all is well."""
    global count, failed
    count += 1
    failed += bool(problems)
    print(f"{'not ok' if problems else 'ok'} {count} - {name}", flush=True)
    for problem in [problems] if isinstance(problems, str) else problems:
        print('# ' + problem.replace('\n', '\n# '), flush=True)


class UnixConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


class Daemon:
    def __init__(self, url, path):
        self.address = urllib.parse.urlsplit(url).netloc
        self.path = path

    def ask(self, method, target, headers, body, local=False, stream=None):
        """(status, headers, content); of a stream only what comes before its mark."""
        if local:
            connection = UnixConnection(self.path, timeout=60)
            headers = {'Host': 'localhost', **headers}
        else:
            connection = http.client.HTTPConnection(self.address, timeout=60)
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        content = b''
        while stream and stream not in content:
            content += answer.read1()
        if not stream:
            content = answer.read()
        connection.close()
        return answer.status, answer.headers, content


class Document:
    def __init__(self, document):
        self.document = document
        self.resolver = jsonschema.RefResolver('', document)
        self.seen = set()

    def follow(self, thing):
        return self.resolver.resolve(thing['$ref'])[1] if '$ref' in thing else thing

    def operations(self):
        for path, item in self.document['paths'].items():
            for method in METHODS:
                if method in item:
                    yield path, method, item[method]

    def parameters(self, path, method):
        item = self.document['paths'][path]
        return [self.follow(parameter) for parameter in
                item.get('parameters', []) + item[method].get('parameters', [])]

    def path_of(self, target):
        """The path of the document that a target belongs to: the longest that fits."""
        target = target.split('?')[0]
        fitting = [path for path in self.document['paths'] if re.fullmatch(
            re.sub(r'\\{[a-z]+\\}$', '.*', re.escape(path)), target)]
        return max(fitting, key=len, default=None)

    def check_schema(self, schema, value, place):
        validator = jsonschema.Draft202012Validator(
            schema, resolver=self.resolver,
            format_checker=jsonschema.FormatChecker())
        return [f"{place}{'/'.join(map(str, error.path))}: {error.message}"
                for error in validator.iter_errors(value)]

    def check_request(self, path, method, target, headers):
        known = self.parameters(path, method)
        names = {(p['in'], p['name'].lower()): p for p in known}
        problems = []
        query = urllib.parse.parse_qsl(target.partition('?')[2], keep_blank_values=True)
        given = [('query', *pair) for pair in query] + \
                [('header', *pair) for pair in headers.items()
                 if pair[0] not in PLAIN_REQUEST_HEADERS]
        for where, name, value in given:
            parameter = names.get((where, name.lower()))
            if not parameter:
                problems.append(f'{where} parameter {name} is not in the document')
                continue
            if parameter['schema'].get('type') == 'integer' and value.isdigit():
                value = int(value)
            schema = self.follow(parameter['schema'])
            if schema.get('type') == 'integer':
                value = int(value)
            problems += self.check_schema(schema, value, f'{where} parameter {name}')
        return problems

    def check_body(self, path, method, body):
        content = self.document['paths'][path][method].get('requestBody', {}).get('content')
        if body and not content:
            return ['the document has no body for this request']
        known = body and content.get('application/json')
        return self.check_schema(known['schema'], json.loads(body), 'body ') if known else []

    def check_headers(self, response, headers):
        known = {name.lower(): self.follow(header)
                 for name, header in response.get('headers', {}).items()}
        problems = [f'header {name} is not in the document' for name in headers
                    if name.lower() not in known and name.lower() not in PLAIN_HEADERS]
        for name, header in known.items():
            value = headers.get(name)
            if value is not None:
                problems += self.check_schema(header['schema'], value, f'header {name} ')
            elif header.get('required'):
                problems.append(f'header {name} is missing')
        return problems

    def check_content(self, response, headers, content):
        if not content:
            return []
        media = response.get('content', {})
        name = headers.get('Content-Type', '').split(';')[0]
        if name not in media and '*/*' not in media:
            return [f'media type {name} is not in the document']
        known = media.get(name, media.get('*/*', {}))
        if 'schema' not in known:
            return []
        text = content.decode()
        is_json = name == 'application/json'
        problems = self.check_schema(known['schema'], json.loads(text) if is_json else text,
                                     'content ')
        if 'x-line' in known:
            for line in text.splitlines():
                problems += self.check_schema(known['x-line'], json.loads(line), 'line ')
        if 'x-data' in known:
            for data in re.findall('^data: (.*)\n', text, re.MULTILINE):
                problems += self.check_schema(known['x-data'], json.loads(data), 'data ')
        return problems

    def check_answer(self, path, method, answer):
        status, headers, content = answer
        responses = self.document['paths'][path][method]['responses']
        key = str(status) if str(status) in responses else 'default'
        if key == 'default' and status < 400:
            return [f'status {status} is not in the document']
        self.seen.add((path, method, key))
        response = self.follow(responses[key])
        problems = self.check_headers(response, headers)
        if method != 'head':
            problems += self.check_content(response, headers, content)
        return problems


def check_document(document, schema):
    """The document as such: by the schema of OpenAPI, and each of its own schemas."""
    validator = jsonschema.Draft202012Validator(schema)
    ok('the document is OpenAPI 3.1',
       [f"{'/'.join(map(str, error.path))}: {error.message}"
        for error in validator.iter_errors(document.document)])
    problems, used = [], set()

    def visit(thing, place):
        if isinstance(thing, list):
            for index, item in enumerate(thing):
                visit(item, f'{place}/{index}')
        if not isinstance(thing, dict):
            return
        if isinstance(thing.get('$ref'), str):
            used.add(thing['$ref'])
            try:
                document.follow(thing)
            except jsonschema.RefResolutionError as error:
                problems.append(f'{place}: {error}')
        for name, item in thing.items():
            visit(item, f'{place}/{name}')

    visit(document.document, '#')
    components = document.document['components']
    for name, schema in components['schemas'].items():
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as error:
            problems.append(f'schema {name}: {error.message}')
    ok('its references lead somewhere, its schemas are schemas', problems)
    ok('what it defines is used', [
        f'{kind}/{name}' for kind, things in components.items() for name in things
        if f'#/components/{kind}/{name}' not in used and kind != 'securitySchemes'])
    names = [operation['operationId'] for _, _, operation in document.operations()]
    ok('each operation has a name of its own',
       sorted({name for name in names if names.count(name) > 1}))


def example_request(document, path, method):
    """What the examples of an operation say: target, headers, body."""
    target, query = path, []
    for parameter in document.parameters(path, method):
        if 'example' not in parameter:
            continue
        value = urllib.parse.quote(str(parameter['example']))
        if parameter['in'] == 'path':
            target = target.replace('{' + parameter['name'] + '}', value)
        elif parameter['in'] == 'query':
            query.append(f"{parameter['name']}={value}")
    headers, body = {}, None
    content = document.document['paths'][path][method].get('requestBody', {})
    for name, media in content.get('content', {}).items():
        if 'example' in media:
            body = media['example']
            body = body if isinstance(body, str) else json.dumps(body)
            headers['Content-Type'] = name
    return target + ('?' + '&'.join(query) if query else ''), headers, body


def check_example(daemon, document, path, method, operation):
    name = operation['operationId']
    special = openapi_steps.EXAMPLES.get(name, {})
    answers = [daemon.ask(**step) for step in special.get('before', [])]
    target, headers, body = example_request(document, path, method)
    if 'headers' in special:
        headers.update(special['headers'](answers))
    instead = special.get('instead', {})
    for old, new in (instead(answers) if callable(instead) else instead).items():
        target = target.replace(old, new)
        body = body and body.replace(old, new)
    answer = daemon.ask(method.upper(), target, headers, body,
                        local=special.get('local', False), stream=special.get('stream'))
    problems = document.check_request(path, method, target, headers)
    problems += document.check_body(path, method, body)
    problems += document.check_answer(path, method, answer)
    if answer[0] >= 400:
        problems.append(f'status {answer[0]}: {answer[2][:300]}')
    ok(f'{name}: the example', problems)


def check_step(daemon, document, step):
    name, status = step.pop('name'), step.pop('status')
    valid = step.pop('valid', status < 400)
    step = {'headers': {}, 'body': None, **step}
    answers = [daemon.ask(**earlier) for earlier in step.pop('before', [])]
    if callable(step['headers']):
        step['headers'] = step['headers'](answers)
    path, method = document.path_of(step['target']), step['method'].lower()
    answer = daemon.ask(**step)
    if not path or method not in document.document['paths'][path]:
        ok(name, 'this is not in the document')
        return
    problems = document.check_answer(path, method, answer)
    if valid:
        problems += document.check_request(path, method, step['target'], step['headers'])
        problems += document.check_body(path, method, step['body'])
    if answer[0] != status:
        problems.append(f'status {answer[0]} instead of {status}: {answer[2][:300]}')
    ok(name, problems)


def main(url, path, schema_file, mountpoint):
    daemon = Daemon(url, path)
    document = Document(json.loads(daemon.ask('GET', '/openapi.json', {}, None)[2]))
    with open(schema_file, encoding='utf-8') as stream:
        check_document(document, json.load(stream))
    openapi_steps.prepare(mountpoint)
    later = []
    for example in document.operations():
        if openapi_steps.EXAMPLES.get(example[2]['operationId'], {}).get('later'):
            later.append(example)
        else:
            check_example(daemon, document, *example)
    for step in openapi_steps.steps(mountpoint):
        check_step(daemon, document, step)
    for example in later:
        check_example(daemon, document, *example)
    for step in openapi_steps.later_steps():
        check_step(daemon, document, step)
    missing = [f'{method.upper()} {path}: {status}'
               for path, method, operation in document.operations()
               for status in operation['responses']
               if status not in openapi_steps.UNSEEN
               and (path, method, status) not in document.seen]
    ok('every status of the document was seen, but those of a full or failing daemon',
       missing)
    print(f'1..{count}')
    return failed > 0


sys.exit(main(*sys.argv[1:]))
