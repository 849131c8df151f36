/* What mDNSCore calls and the release defines nowhere but for Apple's systems. */
#include "mDNSEmbeddedAPI.h"
#include "dns_sd.h"
#include "dso.h"
#include "dso-transport.h"

/* Connections of DSO/dso-transport.c are plain TCP without Apple's network framework, whatever is asked for. */
void dso_connect_state_use_tls(dso_connect_state_t *state) { (void)state; }

/* The name servers have changed: they do not, in a test. */
void DNSPushReconcileConnection(mDNS *m, DNSQuestion *question) { (void)m, (void)question; }
