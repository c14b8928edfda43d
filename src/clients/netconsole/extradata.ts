/**
 * What a target adds behind each extended message: the keys that its user made, then what the system knows of the record.
 *
 *     [ foo=bar\n key=value\n | cpu=1\n taskname=sh\n release=6.12\n msgid=7\n ........ ]
 *       userdata, on change      sysdata, written anew for each message
 *
 * Values are not escaped (the kernel does not either): they come from who set the target up. A key without a value is left
 * out. Limits are the kernel's: 256 keys, names of 53 bytes, values of 199.
 * Answers to update_userdata and prepare_sysdata.
 */
import { Errno } from '../../base/status.ts';
import type { LogRecord } from '../../machine/printk.ts';
import type { ExtendedTarget } from '../../wire/netconsole_emit.ts';

/** Most keys of a target (`MAX_USERDATA_ITEMS`). */
export const USERDATA_ITEMS_MAX = 256;
/** Longest name of a key, in bytes (`MAX_EXTRADATA_NAME_LEN`). */
export const USERDATA_NAME_MAX = 53;
/** A value is shorter than this, in bytes, its newline included (`MAX_EXTRADATA_VALUE_LEN`). */
export const USERDATA_VALUE_MAX = 200;
/** Room for the four lines of sysdata. */
const SYSDATA_MAX = 4 * 256;
/** A task's name has at most so many bytes (TASK_COMM_LEN less a terminator). */
const TASKNAME_MAX = 15;

/** The switches of a target's userdata folder, in the order in which they appear in a message. */
export const SYSDATA_NAMES = ['cpu_nr_enabled', 'taskname_enabled', 'release_enabled', 'msgid_enabled'] as const;
export type SysdataName = (typeof SYSDATA_NAMES)[number];

export interface UserdataItem {
  readonly key: string;
  /** Without its newline; empty: the key is left out. */
  value: Uint8Array;
}

const encoder = new TextEncoder();

export class Extradata implements ExtendedTarget {
  readonly items: UserdataItem[] = [];
  readonly enabled: Record<SysdataName, boolean> = {
    cpu_nr_enabled: false,
    taskname_enabled: false,
    release_enabled: false,
    msgid_enabled: false,
  };
  /** In front of the header, if wanted. */
  release: Uint8Array | undefined = undefined;
  userdata: Uint8Array = new Uint8Array(SYSDATA_MAX);
  userdataLen = 0;
  /** Number of the last message, 32 bits; fragments of one message share it. */
  msgid = 0;
  readonly #uname: Uint8Array;
  #userLen = 0;
  #taskname = '';
  #tasknameBytes = new Uint8Array(0);

  /** `uname`: the system's release. */
  constructor(uname: string) {
    this.#uname = encoder.encode(uname).slice(0, 64);
  }

  /** Makes a key without a value; 0, or a negative errno. (`userdatum_make_item`) */
  addItem(key: string): number {
    if (encoder.encode(key).length > USERDATA_NAME_MAX) return -Errno.ENAMETOOLONG;
    if (this.items.some((item) => item.key === key)) return -Errno.EEXIST;
    if (this.items.length >= USERDATA_ITEMS_MAX) return -Errno.ENOSPC;
    this.items.push({ key, value: new Uint8Array(0) });
    return 0;
  }

  /** 0, or -ENOENT. (`userdatum_drop`) */
  removeItem(key: string): number {
    const at = this.items.findIndex((item) => item.key === key);
    if (at < 0) return -Errno.ENOENT;
    this.items.splice(at, 1);
    this.#rebuild();
    return 0;
  }

  /** Gives a key its value, less one newline at the end; 0, or a negative errno. (`userdatum_value_store`) */
  setValue(key: string, value: Uint8Array): number {
    const item = this.items.find((each) => each.key === key);
    if (item === undefined) return -Errno.ENOENT;
    if (value.length >= USERDATA_VALUE_MAX) return -Errno.EMSGSIZE;
    item.value = value.slice(0, value[value.length - 1] === 0x0a ? value.length - 1 : value.length);
    this.#rebuild();
    return 0;
  }

  /** Writes what is known of `record` behind the user's keys. Counts the message. */
  prepare(record: LogRecord): void {
    const { enabled, userdata } = this;
    let n = this.#userLen;
    if (enabled.cpu_nr_enabled) {
      n = putDecimal(userdata, putText(userdata, n, ' cpu='), record.cpu ?? 0);
      userdata[n++] = 0x0a;
    }
    if (enabled.taskname_enabled) {
      n = putText(userdata, n, ' taskname=');
      n = putBytes(userdata, n, this.#tasknameOf(record));
      userdata[n++] = 0x0a;
    }
    if (enabled.release_enabled) {
      n = putText(userdata, n, ' release=');
      n = putBytes(userdata, n, this.#uname);
      userdata[n++] = 0x0a;
    }
    if (enabled.msgid_enabled) {
      this.msgid = (this.msgid + 1) >>> 0;
      n = putDecimal(userdata, putText(userdata, n, ' msgid='), this.msgid);
      userdata[n++] = 0x0a;
    }
    this.userdataLen = n;
  }

  #tasknameOf(record: LogRecord): Uint8Array {
    const taskname = record.taskname ?? '';
    if (taskname !== this.#taskname) {
      this.#taskname = taskname;
      this.#tasknameBytes = encoder.encode(taskname).slice(0, TASKNAME_MAX);
    }
    return this.#tasknameBytes;
  }

  #rebuild(): void {
    const parts = this.items
      .filter((item) => item.value.length > 0)
      .flatMap((item) => [encoder.encode(` ${item.key}=`), item.value, Uint8Array.of(0x0a)]);
    this.#userLen = parts.reduce((sum, part) => sum + part.length, 0);
    this.userdata = new Uint8Array(this.#userLen + SYSDATA_MAX);
    let n = 0;
    for (const part of parts) n = putBytes(this.userdata, n, part);
    this.userdataLen = n;
  }
}

function putBytes(out: Uint8Array, n: number, bytes: Uint8Array): number {
  out.set(bytes, n);
  return n + bytes.length;
}

function putText(out: Uint8Array, n: number, text: string): number {
  for (let i = 0; i < text.length; i++) out[n++] = text.charCodeAt(i);
  return n;
}

function putDecimal(out: Uint8Array, n: number, value: number): number {
  return putText(out, n, String(value));
}
