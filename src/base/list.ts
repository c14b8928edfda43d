/**
 * An intrusive, circular, doubly linked list (the kernel's `list_head`): the links live in the items, so joining and
 * leaving allocate nothing, and an item can leave from the middle without a search.
 *
 *     List -> a <-> b <-> c -> null
 *
 * An item is on at most one list; `list` names it, and is what makes double insertion an assertion and not a corruption.
 */
import { assert } from './assert.ts';

/** What an item carries to be listed. */
export interface Listed<T> {
  next: T | null;
  prev: T | null;
  /** The list that the item is on, or null. */
  list: object | null;
}

export class List<T extends Listed<T>> {
  head: T | null = null;
  tail: T | null = null;
  length = 0;

  addTail(item: T): void {
    assert(item.list === null, 'an item is on at most one list');
    item.list = this;
    item.prev = this.tail;
    item.next = null;
    if (this.tail === null) this.head = item;
    else this.tail.next = item;
    this.tail = item;
    this.length++;
  }

  addHead(item: T): void {
    assert(item.list === null, 'an item is on at most one list');
    item.list = this;
    item.next = this.head;
    item.prev = null;
    if (this.head === null) this.tail = item;
    else this.head.prev = item;
    this.head = item;
    this.length++;
  }

  /** Takes `item` off this list. */
  remove(item: T): void {
    assert(item.list === this, 'an item leaves the list it is on');
    if (item.prev === null) this.head = item.next;
    else item.prev.next = item.next;
    if (item.next === null) this.tail = item.prev;
    else item.next.prev = item.prev;
    item.next = null;
    item.prev = null;
    item.list = null;
    this.length--;
  }

  /** Takes the first item off, or gives null when empty. */
  shift(): T | null {
    const item = this.head;
    if (item === null) return null;
    assert(item.list === this, 'an item leaves the list it is on');
    const { next } = item;
    this.head = next;
    if (next === null) this.tail = null;
    else next.prev = null;
    item.next = null;
    item.list = null;
    this.length--;
    return item;
  }

  /** Moves every item of `other` behind this list's last one; bounded by `other.length`. */
  spliceTail(other: List<T>): void {
    for (let item = other.shift(); item !== null; item = other.shift()) this.addTail(item);
  }
}
