// Lets plain `node --import ./bench/irq_path/ts.mjs file.ts` run here, in child processes and worker threads too.
import { register } from 'node:module';

register('./ts_hooks.mjs', import.meta.url);
