/** Feature bits of a device (`netdev_features_t`), as far as this machine has a use for them. */
export const NETIF_F_SG = 1 << 0;
export const NETIF_F_IP_CSUM = 1 << 1;
export const NETIF_F_HW_CSUM = 1 << 3;
export const NETIF_F_RXCSUM = 1 << 4;
export const NETIF_F_HW_VLAN_CTAG_RX = 1 << 5;
export const NETIF_F_LOOPBACK = 1 << 6;
