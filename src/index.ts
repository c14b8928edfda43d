/**
 * netpoll: Linux's network device layer in TypeScript, and the console that outlives the crash which stands on it.
 *
 *     import { createHostMachine, Netpoll, netpollParseOptions, netpollSetup, netpollSendUdp } from 'netpoll';
 *
 * Simulated machines are in `netpoll/sim`, the far end in `netpoll/collector`, formats in `netpoll/wire`.
 */
export { Bug } from './base/assert.ts';
export { Counters } from './base/counters.ts';
export {
  Errno,
  NET_RX_DROP,
  NET_RX_SUCCESS,
  NET_XMIT_DROP,
  NET_XMIT_SUCCESS,
  NETDEV_TX_BUSY,
  NETDEV_TX_OK,
  SetupError,
} from './base/status.ts';
export { NetconsoleConfigfs } from './clients/netconsole/configfs.ts';
export {
  Extradata,
  SYSDATA_NAMES,
  type SysdataName,
  USERDATA_ITEMS_MAX,
  USERDATA_NAME_MAX,
  USERDATA_VALUE_MAX,
} from './clients/netconsole/extradata.ts';
export {
  createNetconsole,
  Netconsole,
  type NetconsoleOptions,
  type NetconsoleSpec,
  NetconsoleTarget,
  type ParsedParam,
  parseNetconsoleParam,
} from './clients/netconsole/netconsole.ts';
export { STATE_DEACTIVATED, STATE_DISABLED, STATE_ENABLED, type TargetState } from './clients/netconsole/target.ts';
export { createPong, type Pong, type PongOptions } from './clients/pong.ts';
export {
  nstatText,
  procInterrupts,
  procNetDev,
  procNetPtype,
  procSoftirqs,
  procSoftnetStat,
} from './clients/procfs.ts';
export { SYSRQ_COUNTERS, SYSRQ_REFUSALS, type SysrqCounter, type SysrqRefusal } from './clients/sysrq/audit.ts';
export { createSysrqListener, SysrqListener, type SysrqListenerOptions } from './clients/sysrq/listener.ts';
export { addSysrqNet } from './clients/sysrq/net.ts';
export { type SysrqResult, SysrqSender, type SysrqSenderOptions } from './clients/sysrq/sender.ts';
export {
  devAllocSkb,
  napiAllocSkb,
  napiGetFrags,
  napiGroFrags,
  netdevAllocSkb,
  netdevAllocSkbIpAlign,
} from './device/alloc_skb.ts';
export {
  devChangeFlags,
  devChangeName,
  devChangeTxQueueLen,
  devGetFlags,
  devSetAllmulti,
  devSetMtu,
  devSetPromiscuity,
} from './device/change.ts';
export {
  COALESCE_DEFAULTS,
  type CoalesceParams,
  coalesceDue,
  coalesceForRate,
  coalesceValid,
} from './device/coalesce.ts';
export { devSetMacAddress, ethHwAddrRandom, ethHwAddrSet, ethMacAddr, ethRandomAddr } from './device/dev_addr.ts';
export { HwAddrList, hwAddrSync, hwAddrSyncDev, hwAddrUnsync, hwAddrUnsyncDev } from './device/dev_addr_lists.ts';
export { devGetStats } from './device/dev_stats.ts';
export {
  DIM_RX_CQE,
  DIM_RX_EQE,
  DIM_TX_CQE,
  DIM_TX_EQE,
  Dim,
  type DimProfile,
  type DimSample,
} from './device/dim.ts';
export { Dql } from './device/dql.ts';
export {
  allocEtherdev,
  devHardHeader,
  devParseHeader,
  ETH_HEADER_OPS,
  etherSetup,
  ethTypeTrans,
} from './device/eth.ts';
export {
  type Channels,
  type Drvinfo,
  type EthtoolOps,
  ethtoolGetLink,
  ethtoolGetStats,
  ethtoolSetChannels,
  ethtoolSetCoalesce,
  ethtoolSetRingparam,
  type LinkKsettings,
  type Ringparam,
} from './device/ethtool.ts';
export * from './device/features.ts';
export { devJoinIpGroups, devLeaveIpGroups } from './device/ip_groups.ts';
export { napiResumeIrqs, napiSuspendIrqs, netdevSetIrqSuspend } from './device/irq_suspend.ts';
export {
  devConsumeSkbAny,
  devConsumeSkbIrq,
  devKfreeSkbAny,
  devKfreeSkbIrq,
  napiConsumeSkb,
} from './device/kfree_skb.ts';
export { NapiHash } from './device/napi_hash.ts';
export {
  NAPI_POLL_WEIGHT,
  type NapiPoll,
  type NapiStruct,
  napiCompleteDone,
  napiDisable,
  napiEnable,
  napiSchedule,
  napiScheduleOwned,
  napiSchedulePrep,
  napiSynchronize,
  netdevSetDefer,
  netifNapiAdd,
  netifNapiDel,
} from './device/napi_struct.ts';
export { Net, NetdevEvent, type Notifier } from './device/net.ts';
export {
  allocNetdev,
  type DeviceOps,
  devOf,
  type HeaderOps,
  NetDevice,
  netifCarrierOff,
  netifCarrierOk,
  netifCarrierOn,
  netifDeviceAttach,
  netifDeviceDetach,
  netifDormantOff,
  netifDormantOn,
  netifRunning,
  STAT_NAMES,
  type StatName,
} from './device/net_device.ts';
export {
  type NetdevQueue,
  netdevTxCompletedQueue,
  netdevTxResetQueue,
  netdevTxSentQueue,
  netifQueueStopped,
  netifStartQueue,
  netifStopQueue,
  netifTxqCompletedWake,
  netifTxqMaybeStop,
  netifTxStopAllQueues,
  netifTxWakeAllQueues,
  netifWakeQueue,
} from './device/netdev_queue.ts';
export { devClose, devOpen } from './device/open.ts';
export { Qdisc, type QdiscOps } from './device/qdisc.ts';
export { netifSetRealNumQueues } from './device/real_num_queues.ts';
export { freeNetdev, registerNetdevice, unregisterNetdevice } from './device/register.ts';
export {
  devAddrAdd,
  devAddrDel,
  devMcAdd,
  devMcAddExcl,
  devMcAddGlobal,
  devMcDel,
  devMcDelGlobal,
  devMcSync,
  devMcUnsync,
  devSetRxMode,
  devUcAdd,
  devUcAddExcl,
  devUcDel,
  devUcSync,
  devUcUnsync,
} from './device/rx_mode.ts';
export { devSetWantedFeatures, netdevUpdateFeatures } from './device/update_features.ts';
export { createDummy } from './drivers/dummy.ts';
export { createLoopback } from './drivers/loopback.ts';
export { createNic, nicPort } from './drivers/nic/nic.ts';
export { FrameBatch, type Port, type PortCaps, type PortRxMode, type PortTuning } from './drivers/nic/port.ts';
export { RingHardware, type RingHardwareOptions } from './drivers/ring/hardware.ts';
export { createRingNic, type RingNicOptions } from './drivers/ring/ring_nic.ts';
export { createSnull } from './drivers/snull.ts';
export { createVethPair, removeVethPair, type VethEnd } from './drivers/veth.ts';
export { type FaultOptions, FaultPort } from './drivers/wrap/faults.ts';
export { PcapTap, type PcapTapOptions } from './drivers/wrap/pcap_tap.ts';
export { PortTracer } from './drivers/wrap/tracer.ts';
export {
  createHostMachine,
  type HostMachine,
  type HostMachineOptions,
  type OpenDeviceOptions,
} from './host/host_machine.ts';
export { type ProgramCpu, runOnCpu } from './host/smp/program.ts';
export { type CpuDeath, createSmp, type Smp, type SmpOptions } from './host/smp/smp.ts';
export { icmpEcho } from './inet/icmp.ts';
export { icmpv6Echo } from './inet/icmpv6.ts';
export { Inet, type InetOptions } from './inet/inet.ts';
export { type UdpSocket, udpBind, udpUnbind } from './inet/udp.ts';
export { type UdpMessage, UdpSock, type UdpSockOptions } from './inet/udp_socket.ts';
export type { Executive } from './machine/executive.ts';
export { Machine, type MachineOptions } from './machine/machine.ts';
export { panic } from './machine/panic.ts';
export { type Console, Loglevel, type LogRecord } from './machine/printk.ts';
export { type BottomHalf, isSysrqKey, Sysrq, type SysrqOutcome } from './machine/sysrq.ts';
export type { SysrqOp } from './machine/sysrq_keys.ts';
export {
  parseSysrqMask,
  SYSRQ_ENABLE_BOOT,
  SYSRQ_ENABLE_DUMP,
  SYSRQ_ENABLE_KEYBOARD,
  SYSRQ_ENABLE_LOG,
  SYSRQ_ENABLE_REMOUNT,
  SYSRQ_ENABLE_RTNICE,
  SYSRQ_ENABLE_SIGNAL,
  SYSRQ_ENABLE_SYNC,
} from './machine/sysrq_mask.ts';
export type { SysrqWorld } from './machine/sysrq_world.ts';
export { type BusyPollOptions, napiBusyLoop } from './napi/busy_poll.ts';
export { type EventPollOptions, eventPoll } from './napi/event_poll.ts';
export { devSetThreaded, napiSetThreaded } from './napi/threaded.ts';
export { netpollAttach, netpollSetupLower } from './netpoll/attach.ts';
export {
  type DropHook,
  Netpoll,
  type NetpollPeer,
  type RxDatagram,
  type RxHook,
} from './netpoll/netpoll.ts';
export {
  explainOptionError,
  type NetpollOptions,
  netpollParseOptions,
  netpollPrintOptions,
} from './netpoll/options.ts';
export { netpollPoll, netpollPollDev } from './netpoll/poll.ts';
export { netpollSetTrap, netpollTrap } from './netpoll/rx.ts';
export { netpollSendSkb, netpollSendUdp, netpollTxRunning } from './netpoll/send.ts';
export { netpollCleanup, netpollSetup } from './netpoll/setup.ts';
export { netpollProcessQueue, netpollQueue } from './netpoll/txq.ts';
export { Arena, createArena } from './skb/arena.ts';
export {
  pskbTrimRcsum,
  skbPostpullRcsum,
  skbPostpushRcsum,
  skbPullRcsum,
  skbPushRcsum,
} from './skb/checksum_pull.ts';
export {
  CHECKSUM_COMPLETE,
  CHECKSUM_NONE,
  CHECKSUM_PARTIAL,
  CHECKSUM_UNNECESSARY,
} from './skb/checksum_state.ts';
export { skbTryCoalesce } from './skb/coalesce.ts';
export {
  pskbCopy,
  pskbExpandHead,
  skbCopy,
  skbCopyExpand,
  skbCow,
  skbCowHead,
  skbShareCheck,
  skbUnshare,
} from './skb/copy.ts';
export { DROP_REASONS, DropReason } from './skb/drop_reason.ts';
export {
  pskbPull,
  pskbTrim,
  skbAddFrag,
  skbAddFragList,
  skbCopyBits,
  skbLinearize,
  skbSum,
  skbWalk,
} from './skb/frags.ts';
export { skbGetHash, skbSetHash } from './skb/get_hash.ts';
export { ETH_ZLEN, ethSkbPad, skbPad, skbPadto, skbPutPadto } from './skb/pad.ts';
export { SkbPool } from './skb/pool.ts';
export { pskbPullTail, skbLinearizeCow, skbPullData } from './skb/pull_tail.ts';
export { SkbQueue } from './skb/queue.ts';
export {
  type SkBuff,
  SkbPanic,
  skbHeadroom,
  skbPull,
  skbPush,
  skbPut,
  skbReserve,
  skbTailroom,
  skbTrim,
} from './skb/sk_buff.ts';
export { skbTruesize, truesize } from './skb/truesize.ts';
export { skbVlanUntag, vlanInsertTag, vlanPushInside } from './skb/vlan_tag.ts';
export { type Backlog, NETDEV_MAX_BACKLOG } from './stack/backlog.ts';
export { skbChecksumHelp } from './stack/checksum_help.ts';
export { devQueueXmit } from './stack/dev_queue_xmit.ts';
export { FlowLimit } from './stack/flow_limit.ts';
export { skbGsoSegment } from './stack/gso.ts';
export { skbSegment } from './stack/gso_segment.ts';
export { UDP_MAX_SEGMENTS, udpGsoSendSegments } from './stack/gso_udp_send.ts';
export { netInit, type Stack } from './stack/net_init.ts';
export type { PacketHandler } from './stack/packet_type.ts';
export { Rps, RpsDevFlowTable } from './stack/rps.ts';
export { validateXmitSkb } from './stack/validate_xmit.ts';
export { type AdInfo, ad3GetActiveAggInfo } from './stacked/bond/ad_carrier.ts';
export { AD_CHURN_NAMES, AD_STATS, type AdPort, type AdStat, type Aggregator } from './stacked/bond/ad_port.ts';
export {
  BOND_MODE_8023AD,
  BOND_MODE_ACTIVEBACKUP,
  BOND_MODE_ALB,
  BOND_MODE_BROADCAST,
  BOND_MODE_ROUNDROBIN,
  BOND_MODE_TLB,
  BOND_MODE_XOR,
  Bonding,
  type BondParams,
  bondDefaultParams,
  bondOf,
  Slave,
} from './stacked/bond/bond.ts';
export { createBond, destroyBond } from './stacked/bond/bond_dev.ts';
export { bondEnslave } from './stacked/bond/enslave.ts';
export { BOND_OPTIONS, type BondOptionName } from './stacked/bond/option_table.ts';
export { bondGetOption, bondSetOption, bondSetOptions } from './stacked/bond/options.ts';
export { type BondReportOptions, bondReport } from './stacked/bond/proc_bonding.ts';
export { bondRelease } from './stacked/bond/release.ts';
export { type BridgeOptions, createBridge, destroyBridge } from './stacked/bridge/bridge.ts';
export { type Bridge, type BridgePort, bridgeOf } from './stacked/bridge/bridge_dev.ts';
export { brAddIf, brDelIf } from './stacked/bridge/bridge_if.ts';
export { createVlan, removeVlan, type VlanOptions } from './stacked/vlan/vlan.ts';
export { type IpAddress, parseIp, printIp } from './wire/address.ts';
