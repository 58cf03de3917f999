// Reads `{ folder, patches, messages }` from stdin, and writes for each message what npm's `discord-markdown-parser`
// makes of it: runs of `[text, names of styles, target of the link or null]`. `patches` names what is done otherwise
// than by the package; why is said in `judge.rs`.
const { folder, patches, messages } = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const { SimpleMarkdown, rulesExtended } = require(require.resolve('discord-markdown-parser', { paths: [folder] }));

const rules = { ...rulesExtended };
const change = (name, make) => { rules[name] = { ...rules[name], ...make(rules[name]) }; };
const beginsLine = (state) => state.prevCapture == null || state.prevCapture[0].endsWith('\n');

const PATCHES = {
  'list markers': () => {
    rules.marker = {
      order: rules.blockQuote.order,
      match: (source, state) => (beginsLine(state) ? /^ *(?:[-*]|\d+\.) +(?=[^\n]*\S)/.exec(source) : null),
      parse: () => ({ type: 'marker' }),
    };
  },
  'after a quote': () => {
    for (const name of ['heading', 'subtext']) {
      change(name, (rule) => ({
        match: (source, state, before) =>
          beginsLine(state) ? rule.match(source, { ...state, prevCapture: null }, before) : null,
      }));
    }
  },
  'after a list marker': () => {
    const inner = (name) => change(name, (rule) => ({
      match: (source, state, before) => {
        const marker = state.prevCapture != null && /^ *(?:[-*]|\d+\.) +$/.test(state.prevCapture[0]);
        return rule.match(source, marker ? { ...state, prevCapture: null } : state, marker ? '' : before);
      },
    }));
    ['heading', 'subtext', 'blockQuote'].forEach(inner);
  },
  'within a line': () => {
    for (const name of ['em', 'strong', 'underline', 'strikethrough', 'spoiler', 'link', 'heading', 'subtext']) {
      change(name, (rule) => ({
        parse: (capture, parse, state) =>
          rule.parse(capture, (text, inner) => {
            inner.prevCapture = ['…'];
            return parse(text, inner);
          }, state),
      }));
    }
  },
  'indented headings': () => {
    change('heading', (rule) => ({
      match: (source, state, before) => {
        const spaces = /^ */.exec(source)[0];
        const found = rule.match(source.slice(spaces.length), state, before);
        if (found) found[0] = spaces + found[0];
        return found;
      },
    }));
  },
  'masked links': () => {
    change('link', (rule) => ({
      match: (source, state) => {
        const found = rule.match(source, state);
        const masked = found && /^https?:\/\//.test(found[2]) && !found[1].includes('://') && found[1].trim();
        return masked ? found : null;
      },
    }));
  },
  'struck before an underscore': () => {
    change('strikethrough', () => ({ match: (source) => /^~~([\s\S]+?)~~/.exec(source) }));
  },
};
patches.forEach((name) => PATCHES[name]());

const STYLES = {
  em: 'italic', strong: 'bold', underline: 'underline', strikethrough: 'struck', spoiler: 'spoiler',
  heading: 'heading', subtext: 'small', blockQuote: 'quote',
};
// What Discord looks up is compared as it is written.
const WRITTEN = [
  'user', 'role', 'channel', 'emoji', 'everyone', 'here', 'twemoji', 'timestamp', 'slashCommand', 'guildNavigation', 'br',
];
WRITTEN.forEach((name) => change(name, () => ({ parse: (capture) => ({ type: 'text', content: capture[0] }) })));

function runs(nodes, styles, link, out) {
  for (const node of [nodes].flat()) {
    if (node.type === 'marker') continue;
    if (node.type === 'text') out.push([node.content, styles, link]);
    else if (node.type === 'inlineCode' || node.type === 'codeBlock') out.push([node.content, [...styles, 'code'], link]);
    else if (node.type === 'link') runs(node.content, styles, node.target, out);
    else if (node.type === 'url' || node.type === 'autolink') runs(node.content, styles, link, out);
    else if (node.type in STYLES) runs(node.content, [...styles, STYLES[node.type]], link, out);
    else throw new Error(`an unknown node: ${JSON.stringify(node)}`);
  }
  return out;
}

const parser = SimpleMarkdown.parserFor(rules);
console.log(JSON.stringify(messages.map((message) => runs(parser(message, { inline: true }), [], null, []))));
