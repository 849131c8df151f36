/* In front of each file of mDNSResponder, for `mdnsd` with DNS Push on Linux: the option is in the release, and was built for
 * Apple's systems alone (2600.100.147). Nothing of it is changed. */
#include "dns_sd.h"

/* The Makefile's are everybody's. */
#undef MDNS_UDS_SERVERPATH
#define MDNS_UDS_SERVERPATH ROLLCALL_SOCKET
#undef PID_FILE
#define PID_FILE ROLLCALL_SOCKET ".pid"

/* mDNSCore/mDNS.c uses it without the header that it needs. */
#define check_compile_time(X) struct not_checked

#ifdef ROLLCALL_UDNS
/* mDNSCore/uDNS.c calls it as it was before DSO/dso.c had one parameter more. */
#include "mDNSEmbeddedAPI.h"
#include "dso.h"
#define dso_make_message(state, buffer, size, dso, unidirectional, response, id, rcode, context) \
    (dso_make_message)(state, buffer, size, dso, unidirectional, response, id, rcode, context, NULL)
#endif
