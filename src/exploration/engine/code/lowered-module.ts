/**
 * Lowered module: the first step of rewriting. The compiler turns modules into CommonJS and removes
 * `?.`, `??` and class fields, so that the rewriter has fewer cases. Private names become ordinary
 * properties (`#x` is `$p_x`), so that a thread's heap can be read. So explored code must not ask
 * `#x in object`, and a class and one derived from it must not both have an `#x`.
 *
 * Called by: CodeBase.
 */

import type * as TypeScript from 'typescript';

type Ts = typeof TypeScript;
type Node = TypeScript.Node;

/** `text` is a compiled ECMAScript module. `name` is for messages of the compiler. */
export function lowerModule(ts: Ts, name: string, text: string): string {
  const rename: TypeScript.TransformerFactory<TypeScript.SourceFile> = (context) => (file) => {
    const visit = (node: Node): Node =>
      ts.isPrivateIdentifier(node)
        ? context.factory.createIdentifier(`$p_${node.text.slice(1)}`)
        : ts.visitEachChild(node, visit, context);
    return ts.visitNode(file, visit) as TypeScript.SourceFile;
  };
  return ts.transpileModule(text, {
    fileName: name,
    compilerOptions: {
      allowJs: true,
      // The last one without `?.` and `??`. Async functions stay: the rewriter handles them.
      target: ts.ScriptTarget.ES2019,
      module: ts.ModuleKind.CommonJS,
      removeComments: true,
      useDefineForClassFields: false,
    },
    transformers: { before: [rename] },
  }).outputText;
}

/**
 * Names of getters in a lowered module: a read of one may stop, so the rewriter has to know them.
 */
export function gettersOf(ts: Ts, lowered: string): string[] {
  const names: string[] = [];
  const visit = (node: Node): void => {
    if (ts.isGetAccessor(node) && ts.isIdentifier(node.name)) names.push(node.name.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('lowered.js', lowered, ts.ScriptTarget.ES2022));
  return names;
}
