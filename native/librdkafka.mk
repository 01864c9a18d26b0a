# librdkafka's own Makefile, run in its folder src or src-cpp, with what shortens the compilation.

include Makefile

# The header that nearly every source includes is compiled once, and read first. rdkafka_broker.c
# defines macros for the system's headers before it.
ifdef CXXSRCS
HEADER := rdkafkacpp_int.h
USERS := $(OBJS)
COMPILE_HEADER = $(CXX) -x c++-header $(CXXFLAGS)
else
HEADER := rdkafka_int.h
USERS := $(filter-out rdkafka_broker.o,$(filter rdkafka%,$(OBJS)))
COMPILE_HEADER = $(CC) -x c-header $(CFLAGS)
endif

$(HEADER).gch: $(HEADER)
	$(COMPILE_HEADER) $(CPPFLAGS) $< -o $@

$(USERS): $(HEADER).gch
$(USERS): private CPPFLAGS += -include $(HEADER)

# What does not touch each record is not worth a long optimization: tests, the mock cluster, requests of
# administration, membership in groups, logins, and lz4's slow encoder.
RARE := rdunittest% rdkafka_mock% rdkafka_admin% rdkafka_request% rdkafka_cgrp% rdkafka_metadata% \
  rdkafka_assign% rdkafka_%_assignor.o rdkafka_txnmgr% rdkafka_telemetry% rdkafka_sasl% rdkafka_ssl% \
  rdkafka_conf% rdhttp% cJSON% lz4hc%
$(filter $(RARE),$(OBJS)): private CFLAGS += -O1
