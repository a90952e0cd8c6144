import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadCompiler } from '../compiler.js';
import { after, applyChange, before, copy, describeChange, drop, move, replace, type Edit } from './code-change.js';
import {
  access,
  binary,
  call,
  condition,
  conditional,
  declared,
  ifStatement,
  initial,
  literal,
  loop,
  nth,
  operand,
  returned,
  statement,
} from './selector.js';

const ts = loadCompiler();

const MODULE = `
const LIMIT = 10;
export class Box {
  #items = [];
  get size() { return this.#items.length; }
  set size(n) { this.#items.length = n; }
  add(item, { deep, fast }) {
    const { first, last } = item;
    if (first || deep && last > 0 || fast) return false;
    while (this.#items.length > LIMIT) this.#items.shift();
    this.#items.push(item);
    this.#ring(first ? 1 : 0);
    return this.#items[last] === 0x1f + first;
  }
  #ring = (times) => { for (let i = 0; i < times; i++) console.log('rung'); };
}
function outer() { const inner = () => 1; return inner(); }
`;

/** One line. */
const flat = (text: string): string => text.replace(/\s+/g, ' ').trim();

function changed(path: string | undefined, edit: Edit | readonly Edit[], text = MODULE): string {
  return applyChange(ts, text, { module: 'box', ...(path === undefined || path === '' ? {} : { in: path }), edit });
}

/**
 * Holds that `edit` turns `from` into `to` and changes nothing else. White space does not count.
 */
function becomes(edit: Edit | readonly Edit[], from: string, to: string, path: string | undefined = 'Box.add'): void {
  assert.equal(flat(MODULE).split(from).length, 2, `once: ${from}`);
  const squeeze = (text: string): string => text.replace(/\s/g, '');
  assert.equal(squeeze(changed(path, edit)), squeeze(flat(MODULE).replace(from, () => to)));
}

test('functions of a table with types around it, and of a class without a name, have paths', () => {
  const text = `
const TABLE = { first: (x) => x + 1, more: ({ next(x) { return x + 2; } }) } as const satisfies object;
const double = ((x) => x * 2) as Double;
const Shape = class { area(x) { return x * 3; } };
const Other = class Named { area(x) { return x * 4; } };`;
  for (const [path, number] of [
    ['TABLE.first', '1'],
    ['TABLE.more.next', '2'],
    ['double', '2'],
    ['Shape.area', '3'],
    ['Named.area', '4'],
  ] as const)
    assert.equal(changed(path, replace(literal(number), '9'), text).split('9').length, 2, path);
});

describe('a change edits the selected node and nothing else', () => {
  test('drop removes a statement, an arm of an if, or an operand with its operator', () => {
    becomes(drop(statement('push')), 'this.#items.push(item);', '');
    becomes(drop(statement('return', 'false')), 'return false;', ';');
    becomes(drop(operand('||', 'deep')), 'first || deep && last > 0 || fast', 'first || fast');
    becomes(drop(nth(operand('||'), 1, 3)), 'first || deep', 'deep');
    becomes(drop(operand('&&', '>')), 'deep && last > 0', 'deep');
    becomes(drop(ifStatement('deep')), 'if (first || deep && last > 0 || fast) return false;', '');
    becomes(drop(loop('shift')), 'while (this.#items.length > LIMIT) this.#items.shift();', '');
  });

  test('replace fills a template with the parts of the node', () => {
    becomes(replace(call('push'), '$0.unshift($*)'), 'this.#items.push(item)', 'this.#items.unshift(item)');
    becomes(replace(binary('>', 'last'), '$1 >= $2'), 'last > 0', 'last >= 0');
    becomes(replace(conditional('first'), '$1 ? $3 : $2'), 'first ? 1 : 0', 'first ? 0 : 1');
    becomes(replace(condition('LIMIT'), 'false'), 'this.#items.length > LIMIT', 'false');
    becomes(
      replace(returned('==='), '!($&)'),
      'this.#items[last] === 0x1f + first',
      '!(this.#items[last] === 0x1f + first)',
    );
    becomes(replace(access('last', '['), '$0[$1 + 1]'), 'this.#items[last]', 'this.#items[last + 1]');
    becomes(replace(literal('0x1f'), '0x0f'), '0x1f', '0x0f');
    becomes(replace(declared('last'), '7'), '{ first, last } = item;', '{ first } = item; const last = 7;');
    becomes(replace(ifStatement('deep'), '$2'), 'if (first || deep && last > 0 || fast) return', 'return');
  });

  test('move and copy put a statement before, after, or at the start', () => {
    const push = 'this.#items.push(item);';
    const ring = 'this.#ring(first ? 1 : 0);';
    becomes(move(statement('#ring'), before(statement('push'))), `${push} ${ring}`, `${ring} ${push}`);
    becomes(move(statement('push'), after(statement('#ring'))), `${push} ${ring}`, `${ring} ${push}`);
    becomes(copy(statement('push'), after(statement('#ring'))), ring, `${ring} ${push}`);
    becomes(copy(statement('push'), 'start'), 'const { first', `${push} const { first`);
  });

  test('several edits are made one after the other', () => {
    becomes(
      [drop(statement('push')), drop(statement('#ring'))],
      'this.#items.push(item); this.#ring(first ? 1 : 0);',
      '',
    );
  });

  test('a place is a module, an accessor, a closure in a field, or a function in a function', () => {
    becomes(replace(initial('LIMIT'), '0'), 'LIMIT = 10', 'LIMIT = 0', '');
    becomes(replace(access('length'), '1'), 'this.#items.length; }', '1; }', 'Box.get size');
    becomes(replace(literal('0'), '1'), 'i = 0', 'i = 1', 'Box.#ring');
    becomes(replace(literal('1'), '2'), '=> 1', '=> 2', 'outer.inner');
  });

  test('the layout of the source does not matter', () => {
    const edit = drop(operand('||', 'deep'));
    const spread = MODULE.replace('first || deep', 'first\n      || // why\n      deep');
    assert.match(changed('Box.add', edit, spread), /if \(first \|\| fast\)/);
  });
});

describe('a change that does not fit is GONE, with what is there', () => {
  const refused = (path: string | undefined, edit: Edit, message: RegExp): void => {
    assert.throws(() => changed(path, edit), message);
  };

  test('a function that does not exist is refused with the nearest names', () => {
    refused(
      'Box.append',
      drop(statement('push')),
      /^Error: GONE: box, Box\.append: there is no such.*Nearest: Box\.add/,
    );
  });

  test('a node that does not exist is refused with the functions that have one', () => {
    refused(
      'Box.add',
      drop(statement('log')),
      /GONE: box, Box\.add: 0 nodes, not 1, match: statement with log\n.*in: Box\.#ring/,
    );
  });

  test('a node that exists twice is refused with its lines', () => {
    refused('Box.add', drop(operand('||')), /3 nodes, not 1, .*\n {2}line 9: first\n {2}line 9: deep && last > 0\n/);
  });

  test('a replacement with a name that the module does not know is refused', () => {
    refused('Box.add', replace(call('push'), 'this.#ringg($1)'), /names #ringg, which does not occur/);
    refused('Box.add', replace(call('push'), 'ring($1)'), /names ring, which/);
    refused('Box.add', replace(call('push'), '$7'), /no part \$7/);
  });

  test('a result that is not a program is refused', () => {
    refused('Box.add', replace(literal('0x1f'), ')('), /the result is not a program/);
    refused('Box.add', drop(call('push')), /only statements and operands can be dropped/);
  });
});

test('a change is described in one line', () => {
  const change = { module: 'box', in: 'Box.add', edit: [drop(statement('push')), replace(binary('>'), '$2')] };
  assert.equal(describeChange(change), 'box Box.add: drop statement with push, then binary with > → $2');
});
