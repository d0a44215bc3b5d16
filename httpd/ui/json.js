/* JSON laid out for reading. Only the white space changes: numbers keep every digit and
 * members their order, which JSON.parse would not promise. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
const INDENT = '  ';
const DEPTH_MAX = 100; /* indentation grows with its square */

function kindOf(token, next) {
    if (token[0] === '"')
        return next === ':' ? 'name' : 'string';
    if (/^[{}[\],:]$/.test(token))
        return 'mark';
    return /^[-0-9]/.test(token) ? 'number' : 'literal';
}

/** Pieces {kind, text} of a JSON text, white space included, or null when it is none. */
export function jsonPieces(text) {
    try {
        JSON.parse(text);
    } catch {
        return null;
    }
    const tokens = text.match(TOKEN);
    const pieces = [];
    let depth = 0;
    const add = (kind, piece) => pieces.push({kind, text: piece});
    const newLine = () => add('blank', `\n${INDENT.repeat(depth)}`);
    for (let i = 0; i < tokens.length; i++) {
        const token = tokens[i], previous = tokens[i - 1];
        const opens = token === '{' || token === '[', closes = token === '}' || token === ']';
        const wasEmpty = previous === '{' || previous === '[';
        if (closes)
            depth--;
        if (closes ? !wasEmpty : wasEmpty || previous === ',')
            newLine();
        add(kindOf(token, tokens[i + 1]), token);
        if (token === ':')
            add('blank', ' ');
        if (opens && ++depth > DEPTH_MAX)
            return null;
    }
    return pieces;
}

export function formatJson(text) {
    return jsonPieces(text)?.map((piece) => piece.text).join('') ?? null;
}
