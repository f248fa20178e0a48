package uaserver

import (
	"maps"
	"math"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
)

// methods are the methods of the Server object that can be called.
func methods() []uint32 { return []uint32{id.Server_GetMonitoredItems, id.Server_ResendData} }

// values gives the variables of the Server object their present values.
func (s *Server) values() map[uint32]func() *ua.Variant {
	all := map[uint32]func() *ua.Variant{}
	for _, group := range []map[uint32]func() any{s.identityValues(), s.statusValues(), s.capabilityValues(), s.historyValues(), s.diagnosticValues()} {
		for n, f := range group {
			all[n] = func() *ua.Variant {
				v := f()
				if v == nil {
					return nil
				}
				return ua.MustVariant(v)
			}
		}
	}
	return all
}

func (s *Server) identityValues() map[uint32]func() any {
	return map[uint32]func() any{
		id.Server_NamespaceArray: func() any {
			return []string{"http://opcfoundation.org/UA/", s.cfg.ApplicationURI, s.cfg.NamespaceURI}
		},
		id.Server_ServerArray:  func() any { return []string{s.cfg.ApplicationURI} },
		id.Server_ServiceLevel: func() any { return s.serviceLevel() },
		// No time: an operator who takes a node out of service does not say for how long.
		id.Server_EstimatedReturnTime:                func() any { return time.Time{} },
		id.Server_Auditing:                           func() any { return false },
		id.Server_ServerRedundancy_RedundancySupport: func() any { return int32(s.redundancySupport()) },
		id.Server_ServerRedundancy_ServerURIArray: func() any {
			uris := []string{}
			for _, info := range s.backend.Servers() {
				uris = append(uris, info.ApplicationURI)
			}
			return uris
		},
	}
}

// redundancySupport is Warm in a pair, or Hot if the configuration says so: the standby does not poll devices, but has
// their values from the active node.
func (s *Server) redundancySupport() ua.RedundancySupport {
	switch {
	case len(s.backend.Servers()) < 2:
		return ua.RedundancySupportNone
	case s.cfg.Hot:
		return ua.RedundancySupportHot
	}
	return ua.RedundancySupportWarm
}

func (s *Server) buildInfo() *ua.BuildInfo {
	return &ua.BuildInfo{ProductURI: productURI, ManufacturerName: "scada", ProductName: "scada", SoftwareVersion: s.cfg.SoftwareVersion}
}

func (s *Server) statusValues() map[uint32]func() any {
	return map[uint32]func() any{
		id.Server_ServerStatus: func() any {
			return ua.NewExtensionObject(&ua.ServerStatusDataType{
				StartTime: s.started, CurrentTime: time.Now(), State: ua.ServerStateRunning, BuildInfo: s.buildInfo(), ShutdownReason: ua.NewLocalizedText(""),
			})
		},
		id.Server_ServerStatus_StartTime:                  func() any { return s.started },
		id.Server_ServerStatus_CurrentTime:                func() any { return time.Now() },
		id.Server_ServerStatus_State:                      func() any { return int32(ua.ServerStateRunning) },
		id.Server_ServerStatus_BuildInfo:                  func() any { return ua.NewExtensionObject(s.buildInfo()) },
		id.Server_ServerStatus_BuildInfo_ProductURI:       func() any { return productURI },
		id.Server_ServerStatus_BuildInfo_ManufacturerName: func() any { return s.buildInfo().ManufacturerName },
		id.Server_ServerStatus_BuildInfo_ProductName:      func() any { return s.buildInfo().ProductName },
		id.Server_ServerStatus_BuildInfo_SoftwareVersion:  func() any { return s.cfg.SoftwareVersion },
		id.Server_ServerStatus_BuildInfo_BuildNumber:      func() any { return "" },
		id.Server_ServerStatus_BuildInfo_BuildDate:        func() any { return time.Time{} },
		id.Server_ServerStatus_SecondsTillShutdown:        func() any { return uint32(0) },
		id.Server_ServerStatus_ShutdownReason:             func() any { return ua.NewLocalizedText("") },
	}
}

func (s *Server) capabilityValues() map[uint32]func() any {
	l := &s.cfg.Limits
	number := func(n int) func() any { return func() any { return uint32(n) } }
	perCall := number(l.OperationsPerCall)
	return map[uint32]func() any{
		id.Server_ServerCapabilities_ServerProfileArray:               func() any { return []string{} }, // none was certified
		id.Server_ServerCapabilities_LocaleIDArray:                    func() any { return []string{} },
		id.Server_ServerCapabilities_MinSupportedSampleRate:           func() any { return l.MinSampling.Seconds() * 1000 },
		id.Server_ServerCapabilities_MaxBrowseContinuationPoints:      func() any { return uint16(l.ContinuationPoints) },
		id.Server_ServerCapabilities_MaxQueryContinuationPoints:       func() any { return uint16(0) },
		id.Server_ServerCapabilities_MaxHistoryContinuationPoints:     func() any { return uint16(min(l.HistoryContinuationPoints, math.MaxUint16)) },
		id.Server_ServerCapabilities_SoftwareCertificates:             func() any { return []*ua.ExtensionObject{} },
		id.Server_ServerCapabilities_MaxArrayLength:                   number(maxArray),
		id.Server_ServerCapabilities_MaxStringLength:                  number(tag.MaxText),
		id.Server_ServerCapabilities_MaxByteStringLength:              number(tag.MaxText),
		id.Server_ServerCapabilities_MaxSessions:                      number(l.Sessions),
		id.Server_ServerCapabilities_MaxSubscriptions:                 number(l.SubscriptionsPerServer),
		id.Server_ServerCapabilities_MaxMonitoredItems:                number(l.MonitoredItems),
		id.Server_ServerCapabilities_MaxSubscriptionsPerSession:       number(l.Subscriptions),
		id.Server_ServerCapabilities_MaxMonitoredItemsPerSubscription: number(l.ItemsPerSubscription),
		id.Server_ServerCapabilities_MaxMonitoredItemsQueueSize:       number(l.QueueSize),

		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead:                          perCall,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadData:               number(min(maxHistoryNodes, l.OperationsPerCall)),
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerWrite:                         perCall,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerMethodCall:                    number(min(maxCalls, l.OperationsPerCall)),
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse:                        perCall,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerRegisterNodes:                 perCall,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerTranslateBrowsePathsToNodeIDs: perCall,
		id.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall:                 perCall,
	}
}

// historyValues say what can be done with the past: read it. Nobody changes it from here.
func (s *Server) historyValues() map[uint32]func() any {
	yes, no := func() any { return true }, func() any { return false }
	if s.cfg.History == nil {
		return nil
	}
	all := s.eventHistoryValues()
	maps.Copy(all, map[uint32]func() any{
		id.HistoryServerCapabilities_AccessHistoryDataCapability: yes,
		id.HistoryServerCapabilities_MaxReturnDataValues:         func() any { return uint32(maxHistoryValues) },
		id.HistoryServerCapabilities_InsertDataCapability:        no,
		id.HistoryServerCapabilities_ReplaceDataCapability:       no,
		id.HistoryServerCapabilities_UpdateDataCapability:        no,
		id.HistoryServerCapabilities_DeleteRawCapability:         no,
		id.HistoryServerCapabilities_DeleteAtTimeCapability:      no,
		id.HistoryServerCapabilities_InsertAnnotationCapability:  no,
		id.HistoryServerCapabilities_InsertEventCapability:       no,
		id.HistoryServerCapabilities_ReplaceEventCapability:      no,
		id.HistoryServerCapabilities_UpdateEventCapability:       no,
		id.HistoryServerCapabilities_DeleteEventCapability:       no,
		id.HistoryServerCapabilities_ServerTimestampSupported:    no,
	})
	return all
}

// diagnosticValues are the numbers of the server as a whole, and what there is to know of each session and subscription.
func (s *Server) diagnosticValues() map[uint32]func() any {
	summary := func(pick func(*ua.ServerDiagnosticsSummaryDataType) uint32) func() any {
		return func() any { return pick(s.diagnostics()) }
	}
	type d = ua.ServerDiagnosticsSummaryDataType
	observed := func(pick func(*snapshot) []*ua.ExtensionObject) func() any {
		return func() any { return s.observed(pick) }
	}
	return map[uint32]func() any{
		id.Server_ServerDiagnostics_EnabledFlag:                                                func() any { return true },
		id.Server_ServerDiagnostics_SubscriptionDiagnosticsArray:                               observed(func(v *snapshot) []*ua.ExtensionObject { return v.subscriptions }),
		id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionDiagnosticsArray:         observed(func(v *snapshot) []*ua.ExtensionObject { return v.sessions }),
		id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionSecurityDiagnosticsArray: observed(func(v *snapshot) []*ua.ExtensionObject { return v.security }),
		id.Server_ServerDiagnostics_ServerDiagnosticsSummary:                                   func() any { return ua.NewExtensionObject(s.diagnostics()) },
		id.Server_ServerDiagnostics_ServerDiagnosticsSummary_ServerViewCount:                   summary(func(v *d) uint32 { return v.ServerViewCount }),
		id.Server_ServerDiagnostics_ServerDiagnosticsSummary_CurrentSessionCount:               summary(func(v *d) uint32 { return v.CurrentSessionCount }),
		id.Server_ServerDiagnostics_ServerDiagnosticsSummary_CumulatedSessionCount:             summary(func(v *d) uint32 { return v.CumulatedSessionCount }),
		id.Server_ServerDiagnostics_ServerDiagnosticsSummary_SecurityRejectedSessionCount:      summary(func(v *d) uint32 { return v.SecurityRejectedSessionCount }),
		id.Server_ServerDiagnostics_ServerDiagnosticsSummary_RejectedSessionCount:              summary(func(v *d) uint32 { return v.RejectedSessionCount }),
		id.Server_ServerDiagnostics_ServerDiagnosticsSummary_SessionTimeoutCount:               summary(func(v *d) uint32 { return v.SessionTimeoutCount }),
		id.Server_ServerDiagnostics_ServerDiagnosticsSummary_SessionAbortCount:                 summary(func(v *d) uint32 { return v.SessionAbortCount }),
		id.Server_ServerDiagnostics_ServerDiagnosticsSummary_CurrentSubscriptionCount:          summary(func(v *d) uint32 { return v.CurrentSubscriptionCount }),
		id.Server_ServerDiagnostics_ServerDiagnosticsSummary_CumulatedSubscriptionCount:        summary(func(v *d) uint32 { return v.CumulatedSubscriptionCount }),
		id.Server_ServerDiagnostics_ServerDiagnosticsSummary_PublishingIntervalCount:           summary(func(v *d) uint32 { return v.PublishingIntervalCount }),
		id.Server_ServerDiagnostics_ServerDiagnosticsSummary_SecurityRejectedRequestsCount:     summary(func(v *d) uint32 { return v.SecurityRejectedRequestsCount }),
		id.Server_ServerDiagnostics_ServerDiagnosticsSummary_RejectedRequestsCount:             summary(func(v *d) uint32 { return v.RejectedRequestsCount }),
	}
}

func (s *Server) diagnostics() *ua.ServerDiagnosticsSummaryDataType {
	s.mu.Lock()
	sessions := len(s.sessions)
	s.mu.Unlock()
	present, cumulated := s.engine.Subscriptions()
	return &ua.ServerDiagnosticsSummaryDataType{
		CurrentSessionCount: uint32(sessions), CumulatedSessionCount: s.counts.sessions.Load(),
		SecurityRejectedSessionCount: s.counts.rejectedSecurity.Load(), RejectedSessionCount: s.counts.rejected.Load(),
		SessionTimeoutCount: s.counts.timedOut.Load(), SessionAbortCount: s.counts.aborted.Load(),
		CurrentSubscriptionCount: uint32(present), CumulatedSubscriptionCount: uint32(cumulated),
		PublishingIntervalCount: uint32(s.engine.Intervals()), SecurityRejectedRequestsCount: s.counts.refusedRequests.Load(),
		RejectedRequestsCount: s.counts.rejectedRequests.Load(),
	}
}
