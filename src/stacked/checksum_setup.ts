// hot
/**
 * A frame from a virtual peer whose checksum was never filled in, and of which nobody has said where it belongs (a packet socket does not):
 * found in its headers, so that whoever sends the frame on can fill it in. (`skb_checksum_setup`)
 */
import { CHECKSUM_NONE, CHECKSUM_PARTIAL } from '../skb/checksum_state.ts';
import { type SkBuff, skbHeadlen } from '../skb/sk_buff.ts';
import { ETH_P_8021Q, ETH_P_IP, ETH_P_IPV6 } from '../wire/eth.ts';
import { IPPROTO_TCP, IPPROTO_UDP, IPV4_HLEN, ipv4HeaderLen, ipv4IsFragment, ipv4Protocol } from '../wire/ipv4.ts';
import { IPV6_HLEN, ipv6NextHeader } from '../wire/ipv6.ts';
import { ETH_P_8021AD, VLAN_HLEN, vlanProtocol } from '../wire/vlan.ts';

const TCP_CHECK_OFFSET = 16;
const UDP_CHECK_OFFSET = 6;

/** `skb.data` is behind the Ethernet header, which said `skb.protocol`. What is neither TCP nor UDP has no such checksum: NONE. */
export function skbChecksumSetup(skb: SkBuff): void {
  if (skb.ipSummed !== CHECKSUM_PARTIAL || skb.csumStart >= skb.data) return;
  const { view } = skb.arena;
  const end = skb.data + skbHeadlen(skb);
  let at = skb.data;
  let type = skb.protocol;
  while ((type === ETH_P_8021Q || type === ETH_P_8021AD) && at + VLAN_HLEN <= end) {
    type = vlanProtocol(view, at);
    at += VLAN_HLEN;
  }
  let protocol = -1;
  if (type === ETH_P_IP && at + IPV4_HLEN <= end && !ipv4IsFragment(view, at)) {
    protocol = ipv4Protocol(view, at);
    at += ipv4HeaderLen(view, at);
  } else if (type === ETH_P_IPV6 && at + IPV6_HLEN <= end) {
    protocol = ipv6NextHeader(view, at);
    at += IPV6_HLEN;
  }
  const offset = protocol === IPPROTO_TCP ? TCP_CHECK_OFFSET : protocol === IPPROTO_UDP ? UDP_CHECK_OFFSET : -1;
  if (offset < 0 || at + offset + 2 > end) {
    skb.ipSummed = CHECKSUM_NONE;
    return;
  }
  skb.csumStart = at;
  skb.csumOffset = offset;
}
