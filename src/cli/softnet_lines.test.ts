import { expect, test } from 'vitest';
import { softnetLines } from './softnet_lines.ts';

test('each CPU has a line, with the flow limit only where it has dropped', () => {
  const row = { cpu: 0, processed: 0, dropped: 0, time_squeeze: 0, received_rps: 0, input_qlen: 0, process_qlen: 0 };
  const rows = [
    { ...row, flow_limit_count: 0 },
    { ...row, cpu: 1, processed: 812, dropped: 4, time_squeeze: 2, received_rps: 3, flow_limit_count: 4 },
  ];
  expect(softnetLines(rows)).toEqual([
    'softnet     cpu 0: 0 processed, 0 dropped, 0 time_squeeze, 0 received_rps',
    'softnet     cpu 1: 812 processed, 4 dropped, 2 time_squeeze, 3 received_rps, 4 flow_limit_count',
  ]);
});
