# librdkafka's own Makefile, run in its folder src, with additions that shorten the compilation.

include Makefile

# The header that nearly every source includes is compiled once, and read first. rdkafka_broker.c
# defines macros for the system's headers before it.
HEADER := rdkafka_int.h
USERS := $(filter-out rdkafka_broker.o,$(filter rdkafka%,$(OBJS)))

$(HEADER).gch: $(HEADER)
	$(CC) -x c-header $(CFLAGS) $(CPPFLAGS) $< -o $@

$(USERS): $(HEADER).gch
$(USERS): private CPPFLAGS += -include $(HEADER)

# Code that does not touch each record is not worth a long optimization: fetch requests, membership in
# groups, logins, and lz4's slow encoder.
RARE := rdkafka.o rdkafka_fetcher% rdkafka_request% rdkafka_cgrp% rdkafka_metadata% rdkafka_assign% \
  rdkafka_%_assignor.o rdkafka_sasl% rdkafka_ssl% rdkafka_conf% rdhttp% cJSON% lz4hc%
$(filter $(RARE),$(OBJS)): private CFLAGS += -O1

# Tests, the mock cluster, requests of administration, transactions and telemetry are not optimized at all.
# To such code zig would add checks that end the process.
UNOPTIMIZED := rdunittest% rdkafka_mock% rdkafka_admin% rdkafka_txnmgr% rdkafka_telemetry%
$(filter $(UNOPTIMIZED),$(OBJS)): private CFLAGS += $(if $(filter zig,$(LINKER)),-O1,-O0)
