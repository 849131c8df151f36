/* Follows names by mdnsd, the daemon of mDNSResponder, by its library's long-lived queries.
 *
 *   follow NAME TYPE [NAME TYPE]...
 *
 * A line a change: `add N TTL LENGTH DATA` or `remove N LENGTH DATA`, with the place of the name among the arguments and
 * the record's data in hexadecimal; `gone N ERROR` where the library says that there is nothing. `stop N` on standard
 * input ends a query, `start N` asks it again.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns_sd.h"

#define MOST 16

static DNSServiceRef queries[MOST];

static void DNSSD_API told(DNSServiceRef query, DNSServiceFlags flags, uint32_t interface, DNSServiceErrorType error,
    const char *name, uint16_t type, uint16_t class, uint16_t length, const void *data, uint32_t ttl, void *context)
{
    int which = (int)((DNSServiceRef *)context - queries);
    (void)query, (void)interface, (void)name, (void)type, (void)class;
    if (error != kDNSServiceErr_NoError) {
        printf("gone %d %d\n", which, (int)error);
        return;
    }
    if (flags & kDNSServiceFlagsAdd)
        printf("add %d %u %u ", which, (unsigned)ttl, (unsigned)length);
    else
        printf("remove %d %u ", which, (unsigned)length);
    for (int i = 0; i < length; i++)
        printf("%02x", ((const unsigned char *)data)[i]);
    putchar('\n');
}

static void start(int which, char **words)
{
    DNSServiceErrorType error = DNSServiceQueryRecord(&queries[which], kDNSServiceFlagsLongLivedQuery, 0, words[0],
        (uint16_t)atoi(words[1]), kDNSServiceClass_IN, told, &queries[which]);
    if (error != kDNSServiceErr_NoError) {
        fprintf(stderr, "query %d: error %d\n", which, (int)error);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    int count = (argc - 1) / 2;
    char line[64];
    if (count < 1 || count > MOST)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    setvbuf(stdin, NULL, _IONBF, 0);
    for (int i = 0; i < count; i++)
        start(i, argv + 1 + 2 * i);
    for (;;) {
        struct pollfd waiting[MOST + 1];
        for (int i = 0; i < count; i++)
            waiting[i] = (struct pollfd){queries[i] ? DNSServiceRefSockFD(queries[i]) : -1, POLLIN, 0};
        waiting[count] = (struct pollfd){0, POLLIN, 0};
        if (poll(waiting, (nfds_t)count + 1, -1) < 0)
            return 1;
        for (int i = 0; i < count; i++) {
            if (waiting[i].revents == 0)
                continue;
            DNSServiceErrorType error = DNSServiceProcessResult(queries[i]);
            if (error != kDNSServiceErr_NoError) {
                fprintf(stderr, "query %d: error %d\n", i, (int)error);
                return 1;
            }
        }
        if (waiting[count].revents != 0) {
            int which;
            if (fgets(line, sizeof line, stdin) == NULL)
                return 0;
            if (sscanf(line, "stop %d", &which) == 1 && which >= 0 && which < count && queries[which]) {
                DNSServiceRefDeallocate(queries[which]);
                queries[which] = NULL;
            } else if (sscanf(line, "start %d", &which) == 1 && which >= 0 && which < count && !queries[which]) {
                start(which, argv + 1 + 2 * which);
            }
        }
    }
}
