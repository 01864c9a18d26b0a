/* In place of curl's file of this name, which needs headers of Apple's frameworks. Its call is for networks
   of IPv6 alone: there, an address of IPv4 in the URL of a token endpoint is not translated. */
int Curl_macos_init(void) { return 0; }
