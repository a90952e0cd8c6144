/**
 * The page's words in Simplified Chinese for the view of held requests and breakpoints.
 *
 * Called by: zh.ts.
 */

import type { Strings } from './en.js';

export const stops: Strings['stops'] = {
  title: '断点',
  held: '停住的请求',
  noneHeld: '无。可用上方按钮停住全部请求，或添加断点。',
  value: '值',
  change: '修改',
  changed: '已修改',
  invalidNumbers: '请输入十六进制数，例如 0x3f8，先输入较低的地址；中断线为 0 到 47',
  cannotChange: {
    pending: '读请求此时还没有值：请单步到 COMPLETE 之前',
    complete: '写请求没有返回值：请在 PENDING 时修改',
  },
  since: '已停',
  breakpoints: '断点',
  noBreakpoints: '无。',
  add: '添加',
  remove: (number) => `删除断点 ${number}`,
  hits: (count) => `命中 ${count} 次`,
  breakpoint: (number) => `断点 ${number}`,
  at: '停点',
  client: '客户端',
  address: '地址',
  direction: '方向',
  type: '类型',
  expression: '表达式',
  any: '任意',
  atPoint: { pending: 'PENDING', complete: 'COMPLETE 之前', interrupt: '中断之后' },
  interrupt: '中断',
  interruptNames: {
    any: '任意中断',
    raised: '线拉高',
    lowered: '线拉低',
    ended: '结束（EOI）',
    sent: '消息已发送',
    refused: '消息被拒绝',
  },
  line: '线',
  vector: '向量',
  by: '设备',
  detach: '全部删除并继续',
  keepHeld: '没有打开的页面时仍停住请求',
  release: (seconds) => `（否则停 ${seconds} 秒）`,
};
