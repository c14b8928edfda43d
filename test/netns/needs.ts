/**
 * What a test needs from the machine, asked before the test runs, so that it can be skipped with the reason in its
 * name instead of failing obscurely.
 *
 *     const lacking = lacks({ root: true, tools: ['ip', 'socat'] });
 *     describe.skipIf(lacking !== undefined)(titled('a wedged process', lacking), () => { ... });
 */
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export interface Needs {
  /** Namespaces, TAP devices and packet sockets belong to root (CAP_NET_ADMIN). */
  readonly root?: boolean;
  /** Programs that must be on PATH. */
  readonly tools?: readonly string[];
  /** Files or devices that must exist, for example `/dev/net/tun`. */
  readonly paths?: readonly string[];
}

/** Where root's administrator programs lie even when PATH, inherited from a plain user, lacks them. */
const SYSTEM_PATHS = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** The reason why `needs` are not met on this machine, or undefined when they are. */
export function lacks(needs: Needs): string | undefined {
  if (process.platform !== 'linux') return `needs Linux, this is ${process.platform}`;
  if (needs.root === true && process.getuid?.() !== 0) return 'needs root';
  const tools = (needs.tools ?? []).filter((tool) => !onPath(tool));
  if (tools.length > 0) return `needs ${tools.join(', ')}`;
  const paths = (needs.paths ?? []).filter((path) => !existsSync(path));
  if (paths.length > 0) return `needs ${paths.join(', ')}`;
  return undefined;
}

/** The title of a suite, carrying the reason when it will be skipped. */
export function titled(title: string, lacking: string | undefined): string {
  return lacking === undefined ? title : `${title} (skip: ${lacking})`;
}

function onPath(tool: string): boolean {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...SYSTEM_PATHS];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
