/**
 * The log: draws the chunks near the window, and keeps to the end while it follows.
 *
 * A chunk far away is an empty box of its last measured height (before that, of a guess). An IntersectionObserver tells
 * which are near. Following ends when the person scrolls up, and begins at the end again.
 */

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { connection } from './feed.ts';
import { count, plural } from './format.ts';
import { type Chunk, chunks, follow, type Item, kept, shown, unseen } from './log.ts';
import { ReportCard } from './report.tsx';
import { Row } from './row.tsx';

const ROW_GUESS_PX = 21;
const NEAR = '1200px 0px';

type Watch = (element: Element, set: (near: boolean) => void) => () => void;

/** One observer for all chunks of a scroller. */
function makeWatch(root: Element): Watch {
  const setters = new Map<Element, (near: boolean) => void>();
  const observer = new IntersectionObserver(
    (changes) => {
      for (const change of changes) setters.get(change.target)?.(change.isIntersecting);
    },
    { root, rootMargin: NEAR },
  );
  return (element, set) => {
    setters.set(element, set);
    observer.observe(element);
    return () => {
      setters.delete(element);
      observer.unobserve(element);
    };
  };
}

function ChunkBox({ chunk, watch, near: nearFirst }: { chunk: Chunk; watch: Watch | null; near: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const height = useRef(chunk.items.length * ROW_GUESS_PX);
  const [near, setNear] = useState(nearFirst);
  useEffect(() => {
    const element = box.current;
    if (element === null || watch === null) return;
    return watch(element, (isNear) => {
      if (!isNear) height.current = element.offsetHeight;
      setNear(isNear);
    });
  }, [watch]);
  chunk.version.value; // drawn again when the chunk grows
  return (
    <div ref={box} id={`chunk-${chunk.key}`} class="chunk" style={{ height: near ? 'auto' : `${height.current}px` }}>
      {near && chunk.items.map((item, i) => <ItemView key={keyOf(item, i)} item={item} chunk={chunk} />)}
    </div>
  );
}

function keyOf(item: Item, i: number): string {
  if (item.kind === 'row') return `${item.entry.id}`;
  return item.kind === 'report' ? `r${item.report.id}` : `g${i}`;
}

function ItemView({ item, chunk }: { item: Item; chunk: Chunk }) {
  if (item.kind === 'row') return <Row entry={item.entry} />;
  if (item.kind === 'report') return <ReportCard report={item.report} chunk={chunk} />;
  return <p class="gap">{plural(item.missed, 'message')} skipped: this page could not keep up</p>;
}

export function LogView() {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const lastTop = useRef(0);
  const [watch, setWatch] = useState<Watch | null>(null);

  const toEnd = (): void => {
    const element = scroller.current;
    if (element !== null && follow.value) element.scrollTop = element.scrollHeight;
  };
  useEffect(() => {
    const element = scroller.current!;
    setWatch(() => makeWatch(element));
    const observer = new ResizeObserver(toEnd);
    observer.observe(content.current!);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const following = follow.value;
  useLayoutEffect(toEnd, [following]);

  const onScroll = (): void => {
    const { scrollTop, scrollHeight, clientHeight } = scroller.current!;
    if (scrollHeight - scrollTop - clientHeight < 30) {
      follow.value = true;
      unseen.value = 0;
    } else if (scrollTop < lastTop.current - 2) {
      follow.value = false;
    }
    lastTop.current = scrollTop;
  };

  const all = chunks.value;
  return (
    <div class="log">
      <div
        class={`scroller ${following ? 'following' : ''}`}
        ref={scroller}
        onScroll={onScroll}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scroller must take the keyboard
        tabIndex={0}
        role="log"
        aria-live="off"
      >
        <div ref={content} class="content">
          {all.map((chunk, i) => (
            <ChunkBox key={chunk.key} chunk={chunk} watch={watch} near={i >= all.length - 4} />
          ))}
          {all.length === 0 && <Empty />}
        </div>
      </div>
      {!following && (
        <button
          type="button"
          class="to-end"
          onClick={() => {
            unseen.value = 0;
            follow.value = true;
          }}
        >
          {unseen.value > 0 ? `${count(unseen.value)} new` : 'To the end'} ↓
        </button>
      )}
    </div>
  );
}

function Empty() {
  if (kept.value > 0 && shown.value === 0) return <p class="empty">No message passes the filters.</p>;
  return (
    <p class="empty">
      {connection.value === 'live' ? 'Listening. No message has come yet.' : 'Connecting to the collector.'}
    </p>
  );
}
