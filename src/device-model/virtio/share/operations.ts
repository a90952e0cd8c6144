/**
 * OPERATIONS: the operations by the types of their requests. Tversion and Tflush are not among
 * them: they concern the session.
 *
 * Called by: share-session.ts.
 */

import * as attributes from './attribute-operations.js';
import { readDirectory } from './directory-operations.js';
import * as files from './file-operations.js';
import * as names from './name-operations.js';
import { refused, type Operation } from './operation.js';
import { RequestType } from './protocol.js';

export const OPERATIONS: ReadonlyMap<number, Operation> = new Map([
  [RequestType.statfs, attributes.statFs],
  [RequestType.lopen, files.openFile],
  [RequestType.lcreate, files.createFile],
  [RequestType.symlink, names.makeLink],
  [RequestType.mknod, names.makeNode],
  [RequestType.rename, names.rename],
  [RequestType.readlink, attributes.readLink],
  [RequestType.getattr, attributes.getAttributes],
  [RequestType.setattr, attributes.setAttributes],
  [RequestType.xattrwalk, attributes.walkAttribute],
  [RequestType.xattrcreate, attributes.createAttribute],
  [RequestType.readdir, readDirectory],
  [RequestType.fsync, files.synchronize],
  [RequestType.lock, files.lock],
  [RequestType.getlock, files.getLock],
  [RequestType.link, names.link],
  [RequestType.mkdir, names.makeDirectory],
  [RequestType.renameat, names.renameAt],
  [RequestType.unlinkat, names.unlinkAt],
  // No authentication is needed: by Plan 9's manual the answer is then an error.
  [RequestType.auth, refused({ afid: 'u32', user: 'string', tree: 'string', userId: 'u32' }, 'EOPNOTSUPP')],
  [RequestType.attach, names.attach],
  [RequestType.walk, names.walk],
  [RequestType.read, files.read],
  [RequestType.write, files.write],
  [RequestType.clunk, names.clunk],
  [RequestType.remove, names.remove],
]);
