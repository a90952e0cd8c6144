/**
 * readFields: fields of a description in Debian's form (deb822): "Field: value".
 *
 * Called by: the package sources, signed-release.ts and root-archive.ts.
 */

/** E.g. Version and Depends. */
export type PackageFields = ReadonlyMap<string, string>;

/** The first description in `text`. Of a value with several lines it has the first one. */
export function readFields(text: string): PackageFields {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    if (line === '' && fields.size > 0) break;
    const match = /^([\w-]+): *(.*)$/.exec(line);
    if (match !== null) fields.set(match[1] as string, (match[2] as string).trimEnd());
  }
  return fields;
}
