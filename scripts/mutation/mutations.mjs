// The mutants of a module: each statement dropped, each condition made constant, each operator and
// number exchanged for a neighbour. A mutant is named by function, text and operator, so that a
// change elsewhere in the file does not rename it.

const { functionsOf } = await import('../../dist/exploration/engine/change/functions.js');

/**
 * @typedef {import('../../dist/exploration/engine/compiler.js').Compiler} Ts
 * @typedef {import('typescript').Node} Node
 * @typedef {{ name: string, from: number, to: number, by: string }} Mutation `by` in place of the
 *   source from offset `from` to `to`
 */

/** @type {Readonly<Record<string, string>>} */
const NEIGHBOURS = {
  '<': '<=',
  '<=': '<',
  '>': '>=',
  '>=': '>',
  '===': '!==',
  '!==': '===',
  '&&': '||',
  '||': '&&',
  '+': '-',
  '-': '+',
  '*': '/',
  '/': '*',
  '%': '*',
  '&': '|',
  '|': '&',
  '^': '&',
  '<<': '>>',
  '>>': '<<',
  '>>>': '>>',
  '+=': '-=',
  '-=': '+=',
  '|=': '&=',
  '&=': '|=',
  '<<=': '>>=',
  '++': '--',
  '--': '++',
};

/** Longest text of a node in a name. */
const NAME_CHARACTERS = 90;

/**
 * Every mutant of a module's source, in source order. Texts for people, types and imports have
 * none.
 * @param {Ts} ts
 * @param {string} module from src/, without `.ts`
 * @param {string} text
 * @returns {Mutation[]}
 */
export function mutationsOf(ts, module, text) {
  const file = ts.createSourceFile(`${module}.ts`, text, ts.ScriptTarget.ES2022, true);
  const functions = functionsOf(ts, file);
  /** @type {Mutation[]} */
  const found = [];
  /** @type {Map<string, number>} */
  const numbers = new Map();

  /** @type {(node: Node, what: string, by: string) => void} */
  const add = (node, what, by) => {
    const from = node.getStart(file);
    const around = functions.filter((fn) => fn.node.pos <= node.pos && node.end <= fn.node.end).at(-1);
    const { parent } = node;
    const isInitial = ts.isPropertyDeclaration(parent) || ts.isVariableDeclaration(parent);
    const declared = isInitial ? `${parent.name.getText(file)} = ` : '';
    const shown = declared + text.slice(from, node.end).replace(/\s+/g, ' ');
    const short = shown.length > NAME_CHARACTERS ? `${shown.slice(0, NAME_CHARACTERS)}…` : shown;
    const plain = `${module}${around === undefined ? '' : ` ${around.path}`}: ${short} → ${what}`;
    const number = (numbers.get(plain) ?? 0) + 1;
    numbers.set(plain, number);
    found.push({ name: number === 1 ? plain : `${plain} #${number}`, from, to: node.end, by });
  };

  /** @type {(node: Node) => string} */
  const source = (node) => node.getText(file);
  /** @type {(node: Node) => boolean} */
  const isText = (node) =>
    ts.isStringLiteralLike(node) ||
    ts.isTemplateExpression(node) ||
    (ts.isBinaryExpression(node) && (isText(node.left) || isText(node.right)));
  /**
   * Whether the node is made constant both ways. A test that notices one of these would also notice
   * the negated comparison, which is left out.
   */
  /** @type {(node: Node) => boolean} */
  const isCondition = ({ parent }) =>
    ts.isIfStatement(parent) || ts.isConditionalExpression(parent) || ts.isWhileStatement(parent);

  /** @type {(condition: Node, mayLoop: boolean) => void} */
  const constant = (condition, mayLoop) => {
    if (condition.kind === ts.SyntaxKind.TrueKeyword) return;
    if (mayLoop) add(condition, 'true', 'true');
    add(condition, 'false', 'false');
  };

  /** @type {(node: Node) => void} */
  const visit = (node) => {
    if (ts.isTypeNode(node) || ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return;
    if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return;
    // A hash that spreads the keys otherwise finds the same entries.
    if (ts.isFunctionDeclaration(node) && node.name?.text === 'hash') return;
    // What is thrown is for people.
    if (ts.isThrowStatement(node)) return;
    const isFreeStatement = ts.isExpressionStatement(node) || ts.isBreakStatement(node) || ts.isContinueStatement(node);
    const isBareReturn = ts.isReturnStatement(node) && node.expression === undefined;
    const isSuper = ts.isExpressionStatement(node) && source(node).startsWith('super(');
    if ((isFreeStatement || isBareReturn) && !isSuper) add(node, 'dropped', ';');
    if (ts.isIfStatement(node) || ts.isConditionalExpression(node))
      constant(ts.isIfStatement(node) ? node.expression : node.condition, true);
    if (ts.isWhileStatement(node) || ts.isDoStatement(node)) constant(node.expression, false);
    if (ts.isForStatement(node) && node.condition !== undefined) constant(node.condition, false);
    if (ts.isBinaryExpression(node) && !isText(node)) {
      const operator = source(node.operatorToken);
      const by = NEIGHBOURS[operator];
      const isNegation = operator === '===' || operator === '!==';
      const left = source(node.left);
      const right = source(node.right);
      // Parentheses where the neighbour binds otherwise.
      const isLogic = operator === '&&' || operator === '||';
      if (by !== undefined && !(isNegation && isCondition(node)))
        add(node, by, isLogic ? `((${left}) ${by} (${right}))` : `${left} ${by} ${right}`);
      if (operator === '??') add(node, 'its left side', `(${left})`);
    }
    if (ts.isPrefixUnaryExpression(node) || ts.isPostfixUnaryExpression(node)) {
      const isPrefix = ts.isPrefixUnaryExpression(node);
      const operand = source(node.operand);
      if (node.operator === ts.SyntaxKind.ExclamationToken && !isCondition(node)) add(node, operand, operand);
      if (node.operator === ts.SyntaxKind.MinusToken || node.operator === ts.SyntaxKind.TildeToken)
        add(node, `(${operand})`, `(${operand})`);
      if (node.operator === ts.SyntaxKind.PlusPlusToken) add(node, '--', isPrefix ? `--${operand}` : `${operand}--`);
      if (node.operator === ts.SyntaxKind.MinusMinusToken) add(node, '++', isPrefix ? `++${operand}` : `${operand}++`);
      if (ts.isNumericLiteral(node.operand)) return;
    }
    if (ts.isNumericLiteral(node)) add(node, `${source(node)} + 1`, `(${source(node)} + 1)`);
    if (node.kind === ts.SyntaxKind.TrueKeyword) add(node, 'false', 'false');
    if (node.kind === ts.SyntaxKind.FalseKeyword) add(node, 'true', 'true');
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}
