/* A name's addresses as musl finds them, one a line: what Alpine's programs do. resolve NAME, exit 1 without one. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

int main(int count, char **arguments) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found, *each;
    char text[INET6_ADDRSTRLEN];
    int error;

    if (count != 2) return 2;
    error = getaddrinfo(arguments[1], NULL, &hints, &found);
    if (error) {
        fprintf(stderr, "%s\n", gai_strerror(error));
        return 1;
    }
    for (each = found; each; each = each->ai_next) {
        const void *address = each->ai_family == AF_INET6
            ? (const void *)&((struct sockaddr_in6 *)each->ai_addr)->sin6_addr
            : (const void *)&((struct sockaddr_in *)each->ai_addr)->sin_addr;
        puts(inet_ntop(each->ai_family, address, text, sizeof text));
    }
    freeaddrinfo(found);
    return 0;
}
