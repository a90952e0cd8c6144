// @ts-check
/**
 * The order in which the site shows the documents. A document that is missing here is found by
 * search and links alone.
 */

export const english = {
  nav: [
    { text: 'I/O request handling', link: '/io-request' },
    { text: 'Write a device', link: '/write-a-device' },
    { text: 'API', link: '/api/' },
  ],
  sidebar: [
    {
      text: 'Start',
      items: [
        { text: 'upcall', link: '/' },
        { text: 'I/O request handling', link: '/io-request' },
        { text: 'Architecture', link: '/architecture' },
      ],
    },
    {
      text: 'Write',
      items: [
        { text: 'A device', link: '/write-a-device' },
        { text: 'A hypervisor', link: '/write-a-hypervisor' },
      ],
    },
    {
      text: 'Watch',
      items: [
        { text: 'The live page', link: '/live-page' },
        { text: 'Tracing and statistics', link: '/tracing' },
        { text: 'Fault injection', link: '/fault-injection' },
      ],
    },
    {
      text: 'Trust',
      items: [
        { text: 'Parity with ACRN', link: '/acrn-parity' },
        { text: 'Performance', link: '/performance' },
        { text: 'Reliability', link: '/reliability' },
        { text: 'Exploration', link: '/exploration' },
        { text: 'Threat model', link: '/threat-model' },
        { text: 'Decisions', link: '/decisions/' },
      ],
    },
    {
      text: 'Reference',
      items: [
        { text: 'API', link: '/api/' },
        { text: 'Guests', link: '/guests' },
        { text: 'Conformance scripts', link: '/conformance' },
        { text: 'Changelog', link: '/changelog' },
        { text: 'Security', link: '/security' },
      ],
    },
  ],
};

export const chinese = {
  nav: [
    { text: 'I/O 请求处理', link: '/zh-CN/io-request' },
    { text: '编写设备', link: '/zh-CN/write-a-device' },
    { text: 'API', link: '/api/' },
  ],
  sidebar: [
    {
      text: '入门',
      items: [
        { text: 'upcall', link: '/zh-CN/' },
        { text: 'I/O 请求处理', link: '/zh-CN/io-request' },
        { text: '编写设备', link: '/zh-CN/write-a-device' },
      ],
    },
    {
      text: '参考（英文）',
      items: [
        { text: '架构', link: '/architecture' },
        { text: 'API', link: '/api/' },
      ],
    },
  ],
  outline: { label: '本页目录' },
  docFooter: { prev: '上一页', next: '下一页' },
  langMenuLabel: '语言',
  darkModeSwitchLabel: '外观',
  sidebarMenuLabel: '菜单',
  returnToTopLabel: '回到顶部',
};
