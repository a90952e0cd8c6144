/**
 * registerSource: a register map as a TypeScript module, and as the table of a README.
 *
 * Called by: new-project.ts.
 *
 * Names and texts come from a file of unknown origin. They are written as string literals, and
 * never into a comment or Markdown as they are.
 */

import { hex } from '../io-request/io-request.js';
import type { RegisterDescription, RegisterField, RegisterMap } from '../device-model/register-map.js';

/** Rows of a table that a person reads. */
const MAX_ROWS = 100;

export function registerSource({ source, registers }: RegisterMap): string {
  return `/** The registers of new-device, as \`upcall new device --registers\` wrote them. */

import type { RegisterMap } from 'upcall';

export const registers = {
  source: ${literal(source)},
  registers: [
${registers.map(registerText).join('')}  ],
} as const satisfies RegisterMap;

export type RegisterName = (typeof registers)['registers'][number]['name'];
export type Register = RegisterMap['registers'][number] & { readonly name: RegisterName };
`;
}

function registerText({ fields, ...register }: RegisterDescription): string {
  const { offset, size, name, access, meaning, reset, resetMask, isVolatile } = register;
  const lines = [
    `offset: ${hex(offset)}`,
    `size: ${size}`,
    `name: ${literal(name)}`,
    `access: ${literal(access)}`,
    `meaning: ${literal(meaning)}`,
    ...(reset === undefined ? [] : [`reset: ${hex(reset)}`]),
    ...(resetMask === undefined ? [] : [`resetMask: ${hex(resetMask)}`]),
    ...(isVolatile === true ? ['isVolatile: true'] : []),
    ...(fields === undefined ? [] : [`fields: [\n${fields.map(fieldText).join('')}      ]`]),
  ];
  return `    {\n${lines.map((line) => `      ${line},\n`).join('')}    },\n`;
}

function fieldText({ bits, name, meaning, access, values }: RegisterField): string {
  const parts = [
    `bits: [${bits.join(', ')}]`,
    `name: ${literal(name)}`,
    `meaning: ${literal(meaning)}`,
    ...(access === undefined ? [] : [`access: ${literal(access)}`]),
  ];
  if (values === undefined) return `        { ${parts.join(', ')} },\n`;
  const list = values.map(
    (one) => `            { value: ${one.value}, name: ${literal(one.name)}, meaning: ${literal(one.meaning)} },\n`,
  );
  return `        {\n${[...parts, `values: [\n${list.join('')}          ]`].map((part) => `          ${part},\n`).join('')}        },\n`;
}

/** For a README, in Markdown. */
export function registerTable({ registers }: RegisterMap): string {
  const rows = registers
    .slice(0, MAX_ROWS)
    .map(({ offset, name, size, access, reset, meaning }) => [
      hex(offset),
      name,
      String(size),
      access,
      reset === undefined ? '' : hex(reset),
      markdown(meaning),
    ]);
  const table = [['offset', 'name', 'bytes', 'access', 'reset', 'meaning'], Array<string>(6).fill('---'), ...rows];
  const more = registers.length > MAX_ROWS ? `\n\nand ${registers.length - MAX_ROWS} more` : '';
  return table.map((row) => `| ${row.join(' | ')} |`).join('\n') + more;
}

/** Text without what Markdown takes for a mark. */
export function markdown(text: string): string {
  return text.replace(/[\\`*_{}[\]<>|#]/g, (mark) => `\\${mark}`);
}

/** A string of TypeScript, in single quotes where that needs no escapes. */
function literal(text: string): string {
  return /^[^'\\\p{Cc}\u2028\u2029]*$/u.test(text) ? `'${text}'` : JSON.stringify(text);
}
